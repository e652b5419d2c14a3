//! Interactions of the byte budget, patterns and conflation.

use std::sync::{Arc, Mutex};
use std::task::Poll;

use bytes::Bytes;
use tidings::subscriber::Delivery;
use tidings::{Event, GapReason, LocalHub, Overflow, PublishError, Retention, Subscribe, Subscriber, Subscription};

use crate::support::{poll, sequences, topic};

/// Reads everything that is ready: the sequence of each event and gap, and whether it is a gap.
fn read(subscription: &mut Subscription) -> Vec<(u64, bool)> {
    let mut seen = Vec::new();
    while let Poll::Ready(delivery) = poll(subscription) {
        match delivery {
            Delivery::Events(batch) => seen.extend(sequences(&batch).iter().map(|&sequence| (sequence, false))),
            Delivery::Gap(gap) => {
                assert_eq!(gap.reason, GapReason::Overflow);
                seen.push((gap.cursor.sequence(), true));
            }
            other => panic!("{other:?}"),
        }
    }
    seen
}

type Hook = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// A payload that calls a function when it is dropped.
struct Payload(Hook);

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        &[0; 20_000]
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        let hook = self.0.lock().unwrap().take();
        hook.into_iter().for_each(|hook| hook());
    }
}

/// Events that are published during the eviction of a topic's newest segment are delivered in order with those of another
/// topic.
#[test]
fn events_published_during_an_eviction_are_delivered_in_order() {
    for names in [["p/a", "q"], ["p/**", "q"]] {
        let hub = LocalHub::builder().max_bytes(60_000).build();
        let subscription = hub.subscribe(Subscribe::patterns(names)).unwrap();
        // Topics without a subscription would be evicted first.
        let others: Vec<_> = (0..6).map(|other| topic(format_args!("c/{other}"))).collect();
        let _followed = hub.subscribe(Subscribe::topics(&others)).unwrap();
        let (subscription, hook) = (Arc::new(Mutex::new(subscription)), Hook::default());
        hub.publish_now(topic("p/a"), Event::binary(Bytes::from_owner(Payload(hook.clone())))).unwrap();
        let mut seen = read(&mut subscription.lock().unwrap());
        subscription.lock().unwrap().release();
        let during = Arc::new(Mutex::new(Vec::new()));
        *hook.lock().unwrap() = Some(Box::new({
            let (hub, subscription, during) = (hub.clone(), subscription.clone(), during.clone());
            move || {
                hub.publish_now(topic("p/a"), "one").unwrap();
                hub.publish_now(topic("q"), "two").unwrap();
                *during.lock().unwrap() = read(&mut subscription.lock().unwrap());
            }
        }));
        for other in &others {
            let _ = hub.publish_now(other, Event::binary(vec![0; 17_000]));
        }
        assert!(hook.lock().unwrap().is_none(), "the first event was evicted");
        seen.append(&mut during.lock().unwrap());
        seen.extend(read(&mut subscription.lock().unwrap()));
        assert!(seen.is_sorted_by(|one, next| one.0 < next.0), "{names:?}: {seen:?}");
        assert_eq!(seen.iter().filter(|(_, is_gap)| !is_gap).count(), 3);
    }
}

/// A subscription that conflates and lags behind the log of a pattern gets a gap for the events that the topics lost, although
/// it reads again events that it had skipped.
#[test]
fn latest_lagging_behind_a_pattern_yields_gap_for_lost_events() {
    for overflow in [Overflow::Gap, Overflow::Latest] {
        let hub = LocalHub::builder().retain(Retention::count(100_000)).retain_for("b", Retention::count(1));
        let hub = hub.live_buffer(0).build();
        let mut subscription = hub.subscribe(Subscribe::patterns(["**"]).overflow(overflow)).unwrap();
        let publish = |name: &str, count: usize| {
            for _ in 0..count {
                let event = if name == "a" { Event::text("").with_key("k").unwrap() } else { Event::text("") };
                hub.publish_now(topic(name), event).unwrap();
            }
        };
        publish("a", 260);
        read(&mut subscription);
        publish("a", 250);
        publish("b", 100);
        publish("a", 1_400);
        publish("b", 151);
        let seen = read(&mut subscription);
        assert!(seen.iter().any(|(_, is_gap)| *is_gap), "{overflow:?}: no gap for the events of b");
        assert!(seen.is_sorted_by(|one, next| one.0 <= next.0));
    }
}

/// Logs of patterns without subscriptions reserve nothing for a publish.
#[test]
fn pattern_without_subscriptions_reserves_no_budget() {
    let hub = LocalHub::builder().max_bytes(3 << 20).build();
    let (first, large) = (topic("x/y/a"), || Event::binary(vec![0; 900_000]));
    hub.publish_now(&first, "first").unwrap();
    let patterns = ["x/y/*", "x/y/**", "x/**", "**"];
    let all: Vec<_> = patterns.iter().map(|pattern| hub.subscribe(Subscribe::patterns([*pattern])).unwrap()).collect();
    assert!(
        matches!(hub.publish_now(&first, large()), Err(PublishError::Full { .. })),
        "the event is stored five times"
    );
    drop(all);
    hub.publish_now(&first, large()).unwrap();
}
