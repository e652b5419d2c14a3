//! Reads of one and several topics while events are published.

use loom::thread;
use tidings::{Retention, Subscribe};

use super::support::{hub, publish, read};

#[test]
fn two_topics_of_two_publishers_are_read_in_order() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a", "b"])).unwrap();
        let publishers = ["a", "b"].map(|name| {
            let hub = hub.clone();
            thread::spawn(move || publish(&hub, name))
        });
        assert_eq!(read(&mut subscription, 2), [1, 2]);
        for publisher in publishers {
            publisher.join().unwrap();
        }
    });
}

#[test]
fn two_topics_of_one_publisher_are_read_in_order() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a", "b"])).unwrap();
        let other = hub.clone();
        let publisher = thread::spawn(move || (publish(&other, "a"), publish(&other, "b"), publish(&other, "a")));
        assert_eq!(read(&mut subscription, 3), [1, 2, 3]);
        publisher.join().unwrap();
    });
}

#[test]
fn one_of_two_topics_with_two_publishers_is_read_in_order() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a", "b"])).unwrap();
        let other = hub.clone();
        let publisher = thread::spawn(move || publish(&other, "a"));
        publish(&hub, "a");
        assert_eq!(read(&mut subscription, 2), [1, 2]);
        publisher.join().unwrap();
    });
}

#[test]
fn single_topic_with_two_publishers_is_read_in_order() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let publishers = [(); 2].map(|()| {
            let hub = hub.clone();
            thread::spawn(move || publish(&hub, "a"))
        });
        assert_eq!(read(&mut subscription, 2), [1, 2]);
        for publisher in publishers {
            publisher.join().unwrap();
        }
    });
}

#[test]
fn events_across_a_sealed_segment_are_read_in_order() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        publish(&hub, "a");
        let other = hub.clone();
        let publisher = thread::spawn(move || (publish(&other, "a"), publish(&other, "a")));
        assert_eq!(read(&mut subscription, 3), [1, 2, 3]);
        publisher.join().unwrap();
    });
}

#[test]
fn event_is_read_by_two_subscriptions() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut one = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let mut two = hub.subscribe(Subscribe::topics(["a", "b"])).unwrap();
        let reader = thread::spawn(move || read(&mut two, 1));
        publish(&hub, "a");
        assert_eq!(read(&mut one, 1), [1]);
        assert_eq!(reader.join().unwrap(), [1]);
    });
}
