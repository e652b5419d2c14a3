//! The races of patterns: topics that appear, die and come back under them.

use loom::future::block_on;
use loom::thread;
use tidings::subscriber::{Delivery, SubscriberExt, SubscriptionEnd};
use tidings::{Retention, Start, Subscribe, Subscriber};

use super::{hub, hub_without_live_buffer, publish, read};

#[test]
fn a_topic_is_made_while_a_pattern_is_begun_to_be_followed() {
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
fn topics_are_made_while_a_pattern_is_resumed() {
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
fn topics_are_made_while_a_pattern_is_waited_for() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::patterns(["a/*"])).unwrap();
        let publishers = ["a/x", "a/y"].map(|name| {
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
fn a_topic_is_dropped_and_comes_back_while_a_pattern_is_followed() {
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
fn a_pattern_and_a_topic_are_followed_in_one_order() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::patterns(["a/*", "b"])).unwrap();
        let publishers = ["a/x", "b"].map(|name| {
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
fn one_leaves_a_pattern_while_another_begins_to_follow_it() {
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
fn two_begin_to_follow_a_pattern_while_published() {
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
fn a_pattern_is_outrun_by_topics_that_keep_all() {
    loom::model(|| {
        let hub = hub_without_live_buffer(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::patterns(["a/*"])).unwrap();
        let other = hub.clone();
        let publisher = thread::spawn(move || {
            for name in ["a/x", "a/y", "a/x", "a/y"] {
                publish(&other, name);
            }
        });
        assert_eq!(read(&mut subscription, 4), [1, 2, 3, 4]);
        publisher.join().unwrap();
    });
}

#[test]
fn close_while_a_pattern_is_begun_to_be_followed() {
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
fn topic_that_is_dropped_and_comes_back_while_a_pattern_is_resumed_is_told_as_a_gap() {
    loom::model(|| {
        let hub = hub(Retention::count(0));
        let start = hub.cursor();
        publish(&hub, "a/x");
        let other = hub.clone();
        let reviver = thread::spawn(move || {
            let subscription = other.subscribe(Subscribe::topics(["a/x"])).unwrap();
            publish(&other, "a/x");
            drop(subscription);
        });
        let mut subscription = hub.subscribe(Subscribe::patterns(["a/*"]).start(Start::After(start))).unwrap();
        let first = block_on(subscription.next());
        assert!(matches!(first, Delivery::Gap(_)), "the first event is gone: {first:?}");
        reviver.join().unwrap();
    });
}
