//! Hubs, publishers and readers of all models.

use std::task::{Context, Waker};
use std::time::Instant;

use loom::future::block_on;
use tidings::subscriber::{Delivery, SubscriberExt};
use tidings::time::Clock;
use tidings::{Event, LocalHub, Retention, Subscriber, Subscription, Topic};

/// A clock whose time does not pass, because loom needs every run to be the same.
pub(crate) struct FixedClock(Instant);

impl FixedClock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Instant {
        self.0
    }
}

pub(crate) fn hub(retention: Retention) -> LocalHub {
    LocalHub::builder().retain(retention).clock(FixedClock::new()).build()
}

/// Returns a hub without a live buffer.
pub(crate) fn hub_without_live_buffer(retention: Retention) -> LocalHub {
    LocalHub::builder().retain(retention).live_buffer(0).clock(FixedClock::new()).build()
}

pub(crate) fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

/// Publishes an event to a topic. Returns its sequence.
pub(crate) fn publish(hub: &LocalHub, name: &str) -> u64 {
    hub.publish_now(&topic(name), Event::text("")).unwrap().cursor().unwrap().sequence()
}

/// Publishes this event to a topic.
pub(crate) fn publish_event(hub: &LocalHub, name: &str, event: Event) {
    hub.publish_now(&topic(name), event).unwrap();
}

/// Registers a subscription that has read everything for the next event.
pub(crate) fn wait(subscription: &mut Subscription) {
    assert!(subscription.poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
}

/// Reads until `count` events are delivered or missed. Returns the sequences of the delivered events, which must rise.
pub(crate) fn read(subscription: &mut Subscription, count: u64) -> Vec<u64> {
    let (mut sequences, mut seen) = (Vec::new(), 0);
    while seen < count {
        match block_on(subscription.next()) {
            Delivery::Events(batch) => {
                seen += batch.len() as u64;
                sequences.extend(batch.iter().map(|event| event.cursor.unwrap().sequence()));
                let at = subscription.cursor().unwrap().sequence();
                assert_eq!(Some(&at), sequences.last(), "the cursor of the last event");
            }
            Delivery::Gap(gap) => seen += gap.missed.unwrap(),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, count);
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
    sequences
}
