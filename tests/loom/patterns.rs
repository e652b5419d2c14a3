//! Subscriptions of patterns while topics are created and dropped.

use loom::future::block_on;
use loom::thread;
use tidings::subscriber::{Delivery, SubscriberExt, SubscriptionEnd};
use tidings::{Retention, Start, Subscribe, Subscriber};

use super::support::{hub, hub_without_live_buffer, publish, read, wait};

#[test]
fn pattern_subscribe_during_topic_creation_misses_no_event() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let other = hub.clone();
        let publisher = thread::spawn(move || (publish(&other, "a/x"), publish(&other, "a/y")));
        let mut subscription = hub.subscribe(Subscribe::patterns(["a/*"])).unwrap();
        let start = subscription.cursor().unwrap().sequence();
        let expected: Vec<_> = (start + 1..=2).collect();
        assert_eq!(read(&mut subscription, expected.len() as u64), expected);
        publisher.join().unwrap();
    });
}

#[test]
fn pattern_resume_during_topic_creation_misses_no_event() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let start = hub.cursor();
        let other = hub.clone();
        let publisher = thread::spawn(move || (publish(&other, "a/x"), publish(&other, "a/y")));
        let mut subscription = hub.subscribe(Subscribe::patterns(["a/*", "b"]).start(Start::After(start))).unwrap();
        assert_eq!(read(&mut subscription, 2), [1, 2]);
        publisher.join().unwrap();
    });
}

#[test]
fn topic_creation_wakes_a_waiting_pattern() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::patterns(["a/*"])).unwrap();
        wait(&mut subscription);
        let other = hub.clone();
        let publisher = thread::spawn(move || publish(&other, "a/x"));
        publish(&hub, "a/y");
        assert_eq!(read(&mut subscription, 2), [1, 2]);
        publisher.join().unwrap();
    });
}

#[test]
fn pattern_reads_a_topic_that_is_dropped_and_created_again() {
    loom::model(|| {
        let hub = hub(Retention::count(0));
        let mut subscription = hub.subscribe(Subscribe::patterns(["a/*"])).unwrap();
        let other = hub.clone();
        let publisher = thread::spawn(move || (publish(&other, "a/x"), publish(&other, "a/x")));
        assert_eq!(read(&mut subscription, 2), [1, 2]);
        publisher.join().unwrap();
    });
}

#[test]
fn pattern_and_topic_are_read_in_one_order() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::patterns(["a/*", "b"])).unwrap();
        wait(&mut subscription);
        let other = hub.clone();
        let publisher = thread::spawn(move || publish(&other, "a/x"));
        publish(&hub, "b");
        assert_eq!(read(&mut subscription, 2), [1, 2]);
        publisher.join().unwrap();
    });
}

#[test]
fn pattern_subscribe_during_the_last_unsubscribe_keeps_the_pattern() {
    loom::model(|| {
        let hub = hub(Retention::default());
        publish(&hub, "a/x");
        let leaving = hub.subscribe(Subscribe::patterns(["a/*"])).unwrap();
        let other = hub.clone();
        let leaver = thread::spawn(move || drop((leaving, other)));
        let mut subscription = hub.subscribe(Subscribe::patterns(["a/*"])).unwrap();
        publish(&hub, "a/x");
        assert_eq!(read(&mut subscription, 1), [2]);
        leaver.join().unwrap();
        assert_eq!((hub.stats().patterns, hub.stats().subscriptions), (1, 1));
    });
}

#[test]
fn concurrent_pattern_subscribes_miss_no_event() {
    loom::model(|| {
        let hub = hub(Retention::default());
        publish(&hub, "a/x");
        let other = hub.clone();
        let second = thread::spawn(move || {
            let mut subscription = other.subscribe(Subscribe::patterns(["a/*"])).unwrap();
            publish(&other, "a/x");
            read(&mut subscription, 1)
        });
        let subscription = hub.subscribe(Subscribe::patterns(["a/*"])).unwrap();
        assert_eq!(second.join().unwrap(), [2]);
        drop(subscription);
    });
}

#[test]
fn lagging_pattern_backfills_from_topics_during_publish() {
    loom::model(|| {
        let hub = hub_without_live_buffer(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::patterns(["a/*"])).unwrap();
        let other = hub.clone();
        let publisher = thread::spawn(move || {
            for name in ["a/x", "a/y", "a/x"] {
                publish(&other, name);
            }
        });
        assert_eq!(read(&mut subscription, 3), [1, 2, 3]);
        publisher.join().unwrap();
    });
}

#[test]
fn close_during_pattern_subscribe_ends_the_subscription() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let other = hub.clone();
        let closer = thread::spawn(move || other.close());
        if let Ok(mut subscription) = hub.subscribe(Subscribe::patterns(["a/*"])) {
            assert!(matches!(block_on(subscription.next()), Delivery::End(SubscriptionEnd::Closed)));
        }
        closer.join().unwrap();
    });
}

#[test]
fn topic_dropped_and_created_again_during_pattern_resume_yields_gap() {
    loom::model(|| {
        let hub = hub(Retention::count(0));
        let start = hub.cursor();
        publish(&hub, "a/x");
        let other = hub.clone();
        let publisher = thread::spawn(move || {
            let subscription = other.subscribe(Subscribe::topics(["a/x"])).unwrap();
            publish(&other, "a/x");
            drop(subscription);
        });
        let mut subscription = hub.subscribe(Subscribe::patterns(["a/*"]).start(Start::After(start))).unwrap();
        let first = block_on(subscription.next());
        assert!(matches!(first, Delivery::Gap(_)), "no gap for the first event: {first:?}");
        publisher.join().unwrap();
    });
}
