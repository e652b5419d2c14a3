//! Subscribes, resumes and unsubscribes while events are published and topics are dropped.

use std::task::{Context, Waker};

use loom::future::block_on;
use loom::thread;
use tidings::subscriber::{Delivery, SubscriberExt};
use tidings::{Retention, Start, Subscribe, Subscriber};

use super::support::{hub, publish, read};

#[test]
fn subscribe_during_publish_yields_every_event_after_its_cursor() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let other = hub.clone();
        let publisher = thread::spawn(move || (publish(&other, "a"), publish(&other, "a")));
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let start = subscription.cursor().unwrap().sequence();
        // All events after the cursor of the subscription, and none before.
        let expected: Vec<_> = (start + 1..=2).collect();
        assert_eq!(read(&mut subscription, expected.len() as u64), expected);
        publisher.join().unwrap();
    });
}

#[test]
fn subscribe_to_two_topics_during_publish_yields_every_event_after_its_cursor() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let other = hub.clone();
        let publisher = thread::spawn(move || (publish(&other, "a"), publish(&other, "b")));
        let mut subscription = hub.subscribe(Subscribe::topics(["a", "b"])).unwrap();
        let start = subscription.cursor().unwrap().sequence();
        let expected: Vec<_> = (start + 1..=2).collect();
        assert_eq!(read(&mut subscription, expected.len() as u64), expected);
        publisher.join().unwrap();
    });
}

#[test]
fn resume_at_a_cursor_just_delivered_yields_no_gap() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut first = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let other = hub.clone();
        let publisher = thread::spawn(move || (publish(&other, "a"), publish(&other, "b")));
        read(&mut first, 1);
        // The event is read without a lock, maybe before the watermark passes it. Its cursor must not be invalid.
        let cursor = first.cursor().unwrap();
        let mut second = hub.subscribe(Subscribe::topics(["a", "b"]).start(Start::After(cursor))).unwrap();
        assert_eq!(read(&mut second, 1), [2]);
        publisher.join().unwrap();
    });
}

#[test]
fn unsubscribe_during_publish_removes_the_topic() {
    loom::model(|| {
        let hub = hub(Retention::count(0));
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let _ = subscription.poll_next(&mut Context::from_waker(Waker::noop()));
        let other = hub.clone();
        let publisher = thread::spawn(move || publish(&other, "a"));
        drop(subscription);
        publisher.join().unwrap();
        hub.sweep();
        let stats = hub.stats();
        assert_eq!((stats.subscriptions, stats.topics, stats.tombstones), (0, 0, 1));
    });
}

#[test]
fn subscribe_during_topic_drop_reads_the_next_event() {
    loom::model(|| {
        let hub = hub(Retention::count(0));
        let leaving = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let other = hub.clone();
        let leaver = thread::spawn(move || drop((leaving, other)));
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        publish(&hub, "a");
        assert_eq!(read(&mut subscription, 1), [1]);
        leaver.join().unwrap();
        assert_eq!(hub.stats().subscriptions, 1);
    });
}

#[test]
fn resume_after_topic_drop_during_publish_yields_gap() {
    loom::model(|| {
        let hub = hub(Retention::count(0));
        let leaving = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let start = leaving.cursor().unwrap();
        let other = hub.clone();
        let publisher = thread::spawn(move || publish(&other, "a"));
        drop(leaving);
        publisher.join().unwrap();
        // A resumed subscription gets a gap for the event.
        let mut back = hub.subscribe(Subscribe::topics(["a"]).start(Start::After(start))).unwrap();
        assert!(matches!(block_on(back.next()), Delivery::Gap(gap) if gap.cursor.sequence() == 1));
    });
}
