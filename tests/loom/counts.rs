//! Counts of all logs, one slot at a time under loom, while logs are dropped and created.

use loom::thread;
use tidings::Retention;

use super::support::{hub, publish};

#[test]
fn stats_during_topic_drop_and_creation_add_up() {
    loom::model(|| {
        // Nothing is retained: each publish creates its topic and drops it.
        let hub = hub(Retention::count(0));
        assert_eq!(["a", "b"].map(|name| publish(&hub, name)), [1, 2]);
        let other = hub.clone();
        let publisher = thread::spawn(move || (publish(&other, "b"), publish(&other, "a")));
        let stats = hub.stats();
        assert!((2..=4).contains(&stats.published), "{stats:?}");
        assert_eq!(stats.published, stats.retained + stats.evicted);
        publisher.join().unwrap();
        let stats = hub.stats();
        assert_eq!((stats.published, stats.evicted, stats.topics), (4, 4, 0));
    });
}

#[test]
fn stats_during_unsubscribe_add_up() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let leaving = ["a", "b"].map(|name| hub.subscribe(tidings::Subscribe::topics([name])).unwrap());
        publish(&hub, "a");
        let leaver = thread::spawn(move || drop(leaving));
        let stats = hub.stats();
        assert!(stats.subscriptions <= 2, "{stats:?}");
        assert_eq!((stats.published, stats.retained), (1, 1), "each event is counted once");
        leaver.join().unwrap();
        assert_eq!((hub.stats().subscriptions, hub.stats().topics), (0, 1));
    });
}
