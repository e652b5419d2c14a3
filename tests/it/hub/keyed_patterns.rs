//! Patterns that match keyed topics.

use std::task::Poll;

use tidings::subscriber::{Delivery, EncodedDelivery};
use tidings::{Event, LocalHub, Retention, Start, StateLimits, Subscribe, Subscriber};

use crate::support::{LineFormat, poll, poll_encoded};

fn set(hub: &LocalHub, topic: &str, key: &str) {
    hub.publish_now(topic, Event::text("").with_key(key).unwrap()).unwrap();
}

fn remove(hub: &LocalHub, topic: &str, key: &str) {
    hub.publish_now(topic, Event::removal(key).unwrap()).unwrap();
}

/// Returns everything that is ready: the topic and the key of an event, with `-` for a removal, or the topic of a gap.
fn ready(subscriber: &mut impl Subscriber) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        match poll(subscriber) {
            Poll::Ready(Delivery::Events(batch)) => all.extend(batch.iter().map(|event| {
                let sign = if event.event.is_removal() { "-" } else { "" };
                format!("{} {sign}{}", event.topic, event.event.key().unwrap())
            })),
            Poll::Ready(Delivery::Gap(gap)) => {
                assert!(gap.snapshot, "{gap:?}");
                all.push(format!("gap {}", gap.topic.unwrap()));
            }
            other => {
                assert!(other.is_pending(), "{other:?}");
                return all;
            }
        }
    }
}

/// After the shared state a reader continues in the log, which may have an event that is neither in history nor in the state.
#[test]
fn events_of_a_log_behind_a_state_are_in_order_with_those_of_other_topics() {
    for names in [["cars/*", "news"], ["cars/a", "cars/b"]] {
        let keyed = Retention::count(0).state_limits(StateLimits::default().removals(0));
        let hub = LocalHub::builder().retain_for("cars/*", keyed).live_buffer(0).build();
        ["1", "2", "3", "4"].iter().for_each(|key| set(&hub, "cars/a", key));
        let cursor = hub.cursor();
        remove(&hub, "cars/a", "unknown");
        // Builds the state that all subscriptions share.
        assert_eq!(ready(&mut hub.subscribe(Subscribe::topics(["cars/a"])).unwrap()).len(), 4);
        remove(&hub, "cars/a", "unknown");
        set(&hub, "cars/b", "1");
        set(&hub, "cars/a", "4");
        set(&hub, "cars/a", "1");
        let mut resumed = hub.subscribe(Subscribe::patterns(names).start(Start::After(cursor))).unwrap();
        assert_eq!(ready(&mut resumed), ["cars/a -unknown", "cars/b 1", "cars/a 4", "cars/a 1"], "{names:?}");
    }
}

/// The subscription goes back to the beginning of the hub for the state of one topic.
#[test]
fn events_of_a_backfill_are_not_repeated_after_the_state_of_another_topic_is_lost() {
    let keyed = Retention::count(4).state_limits(StateLimits::default().removals(0));
    let hub = LocalHub::builder().retain_for("cars/*", keyed).live_buffer(0).build();
    set(&hub, "cars/a", "1");
    set(&hub, "cars/a", "removed");
    let cursor = hub.cursor();
    set(&hub, "cars/b", "1");
    set(&hub, "cars/a", "2");
    set(&hub, "cars/a", "3");
    set(&hub, "cars/b", "2");
    let mut behind = hub.subscribe(Subscribe::patterns(["cars/*"]).start(Start::After(cursor))).unwrap();
    for first in ["3 cars/b \n", "4 cars/a \n"] {
        let polled = poll_encoded(&mut behind, &LineFormat::CACHED, 1);
        assert!(matches!(polled, Poll::Ready(EncodedDelivery::Events(events)) if events.bytes == first));
    }
    behind.release();
    remove(&hub, "cars/a", "removed");
    for _ in 0..100 {
        set(&hub, "cars/a", "2");
        set(&hub, "cars/a", "3");
        set(&hub, "cars/b", "3");
    }
    let rest = ready(&mut behind);
    assert_eq!(rest[..3], ["gap cars/a", "cars/a 1", "cars/b 2"], "the first event of b was delivered before");
}
