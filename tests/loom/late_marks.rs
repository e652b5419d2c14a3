//! Inboxes that are marked after the sequencer is released. A hub does so for many subscriptions, and here for all.

use loom::thread;
use tidings::{Event, LocalHub, Retention, Subscribe, Subscription};

use super::support::{hub, publish, read, topic, wait};

/// Runs a model on a hub that marks no inbox under the sequencer.
fn model(act: impl Fn(LocalHub) + Sync + Send + 'static) {
    loom::model(move || act(hub(Retention::default()).marking_late()));
}

/// Returns a subscription of two names that has read everything and waits.
fn waiting(hub: &LocalHub, names: [&str; 2]) -> Subscription {
    let mut subscription = hub.subscribe(Subscribe::patterns(names)).unwrap();
    wait(&mut subscription);
    subscription
}

#[test]
fn late_marks_of_one_publisher_to_two_topics_wake_the_subscription() {
    model(|hub| {
        let mut subscription = waiting(&hub, ["a", "b"]);
        let other = hub.clone();
        let publisher = thread::spawn(move || (publish(&other, "a"), publish(&other, "b")));
        assert_eq!(read(&mut subscription, 2), [1, 2]);
        publisher.join().unwrap();
    });
}

#[test]
fn late_marks_of_two_publishers_to_two_topics_wake_the_subscription() {
    model(|hub| {
        let mut subscription = waiting(&hub, ["a", "b"]);
        let other = hub.clone();
        let publisher = thread::spawn(move || publish(&other, "a"));
        publish(&hub, "b");
        assert_eq!(read(&mut subscription, 2), [1, 2]);
        publisher.join().unwrap();
    });
}

#[test]
fn late_marks_of_two_publishes_to_one_topic_leave_no_stale_mark() {
    model(|hub| {
        let mut subscription = waiting(&hub, ["a", "b"]);
        let other = hub.clone();
        let publisher = thread::spawn(move || (publish(&other, "a"), publish(&other, "a")));
        assert_eq!(read(&mut subscription, 2), [1, 2]);
        publisher.join().unwrap();
        // A late mark must not hide the next event.
        publish(&hub, "b");
        assert_eq!(read(&mut subscription, 1), [3]);
    });
}

#[test]
fn late_marks_of_a_batch_wake_a_pattern_subscription() {
    model(|hub| {
        let mut subscription = waiting(&hub, ["a/*", "b"]);
        let other = hub.clone();
        let publisher = thread::spawn(move || {
            let batch = ["a/x", "b"].map(|name| (topic(name), Event::text("")));
            other.publish_batch(batch).unwrap();
        });
        assert_eq!(read(&mut subscription, 2), [1, 2]);
        publisher.join().unwrap();
    });
}

#[test]
fn late_marks_during_unsubscribe_leave_no_subscription() {
    model(|hub| {
        let subscription = waiting(&hub, ["a", "b"]);
        let other = hub.clone();
        let publisher = thread::spawn(move || publish(&other, "a"));
        drop(subscription);
        publisher.join().unwrap();
        assert_eq!(hub.stats().subscriptions, 0);
    });
}
