//! Byte budget, patterns and conflation together.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tidings::subscriber::Delivery;
use tidings::{
    Event, GapReason, LocalHub, Overflow, PublishError, Retention, Subscribe, Subscriber, Subscription, Topic,
};

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

/// Everything that is ready: the sequence of each event and gap, and whether it is a gap.
fn read(subscription: &mut Subscription) -> Vec<(u64, bool)> {
    let mut seen = Vec::new();
    while let Poll::Ready(delivery) = subscription.poll_next(&mut Context::from_waker(Waker::noop())) {
        match delivery {
            Delivery::Events(batch) => {
                seen.extend(batch.iter().map(|event| (event.cursor.unwrap().sequence(), false)));
            }
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

/// A payload that does something when it is dropped.
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

/// A topic whose newest segment is evicted is still in order with the others for who waits for both, whatever is published
/// before the eviction is over.
#[test]
fn what_is_published_while_the_budget_evicts_comes_in_order() {
    for names in [["p/a", "q"], ["p/**", "q"]] {
        let hub = LocalHub::builder().max_bytes(60_000).build();
        let subscription = hub.subscribe(Subscribe::patterns(names)).unwrap();
        // Topics without a subscription would be evicted first.
        let others: Vec<_> = (0..6).map(|other| topic(&format!("c/{other}"))).collect();
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

/// A subscription that conflates and falls behind a pattern's log is told of the events that its topics have lost
/// meanwhile, though it finds again those that it had stepped over.
#[test]
fn what_is_lost_beside_what_is_replaced_is_told() {
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
        assert!(seen.iter().any(|(_, is_gap)| *is_gap), "{overflow:?}: a hundred events of b are gone");
        assert!(seen.is_sorted_by(|one, next| one.0 <= next.0));
    }
}

/// Patterns that nobody follows any more take no room of what is published.
#[test]
fn a_pattern_that_was_followed_takes_no_room() {
    let hub = LocalHub::builder().max_bytes(3 << 20).build();
    let (first, large) = (topic("x/y/a"), || Event::binary(vec![0; 900_000]));
    hub.publish_now(&first, "first").unwrap();
    let patterns = ["x/y/*", "x/y/**", "x/**", "**"];
    let all: Vec<_> = patterns.iter().map(|pattern| hub.subscribe(Subscribe::patterns([*pattern])).unwrap()).collect();
    assert!(matches!(hub.publish_now(&first, large()), Err(PublishError::Full { .. })), "five times in the hub");
    drop(all);
    hub.publish_now(&first, large()).unwrap();
}
