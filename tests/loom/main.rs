//! The races of the hub, each explored over its interleavings. Run with
//! `RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 cargo test --release --test loom`.
#![cfg(loom)]

mod budget;
mod counts;
mod late_marks;
mod live_buffer;
mod notifier;
mod patterns;
mod ttl;
mod wake_flag;

use std::task::{Context, Waker};
use std::time::Instant;

use loom::future::block_on;
use loom::thread;
use tidings::subscriber::{Delivery, SubscriberExt, SubscriptionEnd};
use tidings::time::Clock;
use tidings::{Event, LocalHub, Overflow, Retention, Start, Subscribe, Subscriber, Subscription, Topic};

/// Time does not pass: loom needs every run to be the same.
struct Still(Instant);

impl Clock for Still {
    fn now(&self) -> Instant {
        self.0
    }
}

fn hub(retention: Retention) -> LocalHub {
    LocalHub::builder().retain(retention).clock(Still(Instant::now())).build()
}

/// A hub that keeps nothing for connected readers beside history.
fn hub_without_live_buffer(retention: Retention) -> LocalHub {
    LocalHub::builder().retain(retention).live_buffer(0).clock(Still(Instant::now())).build()
}

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

fn publish(hub: &LocalHub, name: &str) -> u64 {
    hub.publish_now(&topic(name), Event::text("")).unwrap().cursor().unwrap().sequence()
}

/// Reads until `count` events are delivered or told missed. Returns the sequences delivered, which must rise.
fn read(subscription: &mut Subscription, count: u64) -> Vec<u64> {
    let (mut sequences, mut seen) = (Vec::new(), 0);
    while seen < count {
        match block_on(subscription.next()) {
            Delivery::Events(batch) => {
                seen += batch.len() as u64;
                sequences.extend(batch.iter().map(|event| event.cursor.unwrap().sequence()));
                let at = subscription.cursor().unwrap().sequence();
                assert_eq!(Some(&at), sequences.last(), "the cursor is what was delivered");
            }
            Delivery::Gap(gap) => seen += gap.missed.unwrap(),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, count);
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
    sequences
}

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
fn subscribe_during_publish_yields_every_event_after_its_cursor() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let other = hub.clone();
        let publisher = thread::spawn(move || (publish(&other, "a"), publish(&other, "a")));
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let start = subscription.cursor().unwrap().sequence();
        // Everything after where it says that it begins, and nothing before.
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
        // The event is read without a lock, maybe before the watermark is past it: still no cursor of the future.
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
        // Whoever comes back is told that it missed the event.
        let mut back = hub.subscribe(Subscribe::topics(["a"]).start(Start::After(start))).unwrap();
        assert!(matches!(block_on(back.next()), Delivery::Gap(gap) if gap.cursor.sequence() == 1));
    });
}

#[test]
fn lag_during_publish_is_counted() {
    loom::model(|| {
        let hub = hub_without_live_buffer(Retention::count(1));
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let other = hub.clone();
        let publisher = thread::spawn(move || {
            for _ in 0..4 {
                publish(&other, "a");
            }
        });
        read(&mut subscription, 4);
        publisher.join().unwrap();
    });
}

#[test]
fn lag_of_two_topics_during_publish_is_counted() {
    loom::model(|| {
        let hub = hub_without_live_buffer(Retention::count(0));
        let mut subscription = hub.subscribe(Subscribe::topics(["a", "b"])).unwrap();
        let other = hub.clone();
        let publisher = thread::spawn(move || {
            for _ in 0..3 {
                publish(&other, "a");
            }
            publish(&other, "b");
        });
        read(&mut subscription, 4);
        publisher.join().unwrap();
    });
}

#[test]
fn overflow_disconnect_during_publish_loses_no_event_silently() {
    loom::model(|| {
        let hub = hub_without_live_buffer(Retention::count(0));
        let mut subscription = hub.subscribe(Subscribe::topics(["a"]).overflow(Overflow::Disconnect)).unwrap();
        let other = hub.clone();
        let publisher = thread::spawn(move || {
            for _ in 0..3 {
                publish(&other, "a");
            }
        });
        let mut last = 0;
        while last < 3 {
            match block_on(subscription.next()) {
                Delivery::Events(batch) => {
                    for event in batch.iter() {
                        assert_eq!(event.cursor.unwrap().sequence(), last + 1, "no gap goes untold");
                        last += 1;
                    }
                }
                Delivery::End(SubscriptionEnd::TooSlow) => break,
                other => panic!("{other:?}"),
            }
        }
        publisher.join().unwrap();
    });
}

#[test]
fn latest_subscribe_during_publish_accounts_for_every_event() {
    for topics in [&["a"][..], &["a", "b"]] {
        loom::model(move || {
            let hub = hub(Retention::default());
            let other = hub.clone();
            let publisher = thread::spawn(move || {
                for _ in 0..3 {
                    let tick = Event::text("").with_key("key").unwrap();
                    other.publish_now(&topic("a"), tick).unwrap();
                }
            });
            // The first who conflates may come at any moment.
            let latest = Subscribe::topics(topics.iter().copied()).start(Start::Oldest).overflow(Overflow::Latest);
            let mut subscription = hub.subscribe(latest).unwrap();
            let (mut last, mut told) = (0, 0);
            while last < 3 {
                let Delivery::Events(batch) = block_on(subscription.next()) else { panic!("no events") };
                for event in batch.iter() {
                    assert!(event.cursor.unwrap().sequence() > last);
                    last = event.cursor.unwrap().sequence();
                }
                told += batch.len() as u32 + batch.conflated();
            }
            assert_eq!(told, 3, "delivered or conflated");
            publisher.join().unwrap();
        });
    }
}

#[test]
fn close_during_wait_delivers_the_event_before_the_end() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let other = hub.clone();
        let closer = thread::spawn(move || {
            publish(&other, "a");
            other.close();
        });
        assert_eq!(read(&mut subscription, 1), [1]);
        assert!(matches!(block_on(subscription.next()), Delivery::End(SubscriptionEnd::Closed)));
        closer.join().unwrap();
    });
}

#[test]
fn close_during_wait_ends_a_subscription_of_two_topics() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a", "b"])).unwrap();
        let other = hub.clone();
        let closer = thread::spawn(move || other.close());
        assert!(matches!(block_on(subscription.next()), Delivery::End(SubscriptionEnd::Closed)));
        closer.join().unwrap();
    });
}

#[test]
fn close_during_publish_delivers_exactly_the_accepted_events() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let mut subscription = hub.subscribe(Subscribe::topics(["a"])).unwrap();
        let (publishing, closing) = (hub.clone(), hub.clone());
        let publisher = thread::spawn(move || publishing.publish_now(&topic("a"), Event::text("")).is_ok());
        let closer = thread::spawn(move || closing.close());
        let mut delivered = false;
        loop {
            match block_on(subscription.next()) {
                Delivery::Events(_) => delivered = true,
                Delivery::End(SubscriptionEnd::Closed) => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(publisher.join().unwrap(), delivered, "accepted is delivered, refused is not");
        closer.join().unwrap();
    });
}

#[test]
fn subscribe_during_close_ends_the_subscription() {
    loom::model(|| {
        let hub = hub(Retention::default());
        let other = hub.clone();
        let closer = thread::spawn(move || other.close());
        if let Ok(mut subscription) = hub.subscribe(Subscribe::topics(["a"])) {
            assert!(matches!(block_on(subscription.next()), Delivery::End(SubscriptionEnd::Closed)));
        }
        closer.join().unwrap();
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
