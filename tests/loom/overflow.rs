//! Subscriptions that lag behind a publisher, for each overflow.

use loom::future::block_on;
use loom::thread;
use tidings::subscriber::{Delivery, SubscriberExt, SubscriptionEnd};
use tidings::{Event, Overflow, Retention, Start, Subscribe};

use super::support::{hub, hub_without_live_buffer, publish, read, topic};

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
                        assert_eq!(event.cursor.unwrap().sequence(), last + 1, "an event is lost without a gap");
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
                for _ in 0..2 {
                    let tick = Event::text("").with_key("key").unwrap();
                    other.publish_now(&topic("a"), tick).unwrap();
                }
            });
            // The first subscription that conflates may begin at any time.
            let latest = Subscribe::topics(topics.iter().copied()).start(Start::Oldest).overflow(Overflow::Latest);
            let mut subscription = hub.subscribe(latest).unwrap();
            let (mut last, mut counted) = (0, 0);
            while last < 2 {
                let Delivery::Events(batch) = block_on(subscription.next()) else { panic!("no events") };
                for event in batch.iter() {
                    assert!(event.cursor.unwrap().sequence() > last);
                    last = event.cursor.unwrap().sequence();
                }
                counted += batch.len() as u32 + batch.conflated();
            }
            assert_eq!(counted, 2, "delivered or conflated");
            publisher.join().unwrap();
        });
    }
}
