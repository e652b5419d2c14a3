//! The live buffer, which is filled and released during reads.

use loom::thread;
use tidings::{Retention, Subscribe};

use super::support::{hub, publish, read};

#[test]
fn live_buffer_holds_evicted_events_during_publish() {
    for topics in [vec!["a"], vec!["a", "b"]] {
        loom::model(move || {
            let hub = hub(Retention::count(0));
            let mut subscription = hub.subscribe(Subscribe::topics(topics.clone())).unwrap();
            let other = hub.clone();
            let publisher = thread::spawn(move || {
                for _ in 0..3 {
                    publish(&other, "a");
                }
            });
            assert_eq!(read(&mut subscription, 3), [1, 2, 3]);
            publisher.join().unwrap();
        });
    }
}

#[test]
fn live_buffer_released_during_a_read_loses_no_event() {
    loom::model(|| {
        let hub = hub(Retention::count(0));
        let [mut subscription, leaving] = [(); 2].map(|()| hub.subscribe(Subscribe::topics(["a"])).unwrap());
        publish(&hub, "a");
        publish(&hub, "a");
        let other = hub.clone();
        let leaver = thread::spawn(move || {
            drop(leaving);
            other.sweep();
            publish(&other, "a");
        });
        assert_eq!(read(&mut subscription, 3), [1, 2, 3]);
        leaver.join().unwrap();
    });
}
