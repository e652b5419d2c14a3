//! More subscriptions of a topic than are marked under the sequencer: under loom two are.

use std::task::{Context, Waker};

use loom::thread;
use tidings::{Event, LocalHub, Retention, Subscribe, Subscriber, Subscription};

use super::{hub, publish, read, topic};

/// A subscription of two topics that has read everything.
fn waiting(hub: &LocalHub, names: [&str; 2]) -> Subscription {
    let mut subscription = hub.subscribe(Subscribe::patterns(names)).unwrap();
    assert!(subscription.poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
    subscription
}

#[test]
fn two_topics_are_published_to_by_one_while_many_follow_both() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let [mut first, mut second] = [(); 2].map(|()| waiting(&hub, ["a", "b"]));
        let other = hub.clone();
        let publisher = thread::spawn(move || (publish(&other, "a"), publish(&other, "b")));
        assert_eq!(read(&mut first, 2), [1, 2]);
        publisher.join().unwrap();
        assert_eq!(read(&mut second, 2), [1, 2]);
    });
}

#[test]
fn two_topics_are_published_to_by_two_while_many_follow_both() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let [mut first, _second] = [(); 2].map(|()| waiting(&hub, ["a", "b"]));
        let other = hub.clone();
        let publisher = thread::spawn(move || publish(&other, "a"));
        publish(&hub, "b");
        assert_eq!(read(&mut first, 2), [1, 2]);
        publisher.join().unwrap();
    });
}

#[test]
fn topic_is_published_to_twice_while_many_follow_it() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let [mut first, _second] = [(); 2].map(|()| waiting(&hub, ["a", "b"]));
        let other = hub.clone();
        let publisher = thread::spawn(move || (publish(&other, "a"), publish(&other, "a")));
        assert_eq!(read(&mut first, 2), [1, 2]);
        publisher.join().unwrap();
        // A mark that came late has left nothing behind.
        publish(&hub, "b");
        assert_eq!(read(&mut first, 1), [3]);
    });
}

#[test]
fn batch_is_published_while_many_follow_its_pattern() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let [mut first, _second] = [(); 2].map(|()| waiting(&hub, ["a/*", "b"]));
        let other = hub.clone();
        let publisher = thread::spawn(move || {
            let batch = ["a/x", "b"].map(|name| (topic(name), Event::text("")));
            other.publish_all(batch).unwrap();
        });
        assert_eq!(read(&mut first, 2), [1, 2]);
        publisher.join().unwrap();
    });
}

#[test]
fn one_of_many_leaves_while_published() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let [mut first, second] = [(); 2].map(|()| waiting(&hub, ["a", "b"]));
        let other = hub.clone();
        let publisher = thread::spawn(move || publish(&other, "a"));
        drop(second);
        assert_eq!(read(&mut first, 1), [1]);
        publisher.join().unwrap();
        assert_eq!(hub.stats().subscriptions, 2);
    });
}
