//! Properties that always hold: P1 to P24. The name of each test begins with the number of its property. Some of these
//! tests are in other modules, next to the tools that they need.

mod drop_and_close;
mod order;
mod threads;
#[cfg(feature = "full")]
mod transports;
mod wakes;

use proptest::collection::vec;
use proptest::prelude::*;
use tidings::{LocalHub, Retention, Subscription};

use crate::support::{poll, ready_batches, topic};

const TOPICS: [&str; 3] = ["a", "b", "c/d"];

/// Returns a hub that keeps all events of a test.
fn unlimited_hub() -> LocalHub {
    LocalHub::builder().retain(Retention::count(usize::MAX).bytes(usize::MAX)).build()
}

/// Generates the topics that a publisher publishes to, one after the other.
fn bursts(most: usize) -> impl Strategy<Value = Vec<usize>> {
    vec(0..TOPICS.len(), 0..most)
}

/// An event that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Read {
    sequence: u64,
    topic: String,
    text: String,
}

/// Reads the events that are ready. There must be no gap and no end.
fn read(subscription: &mut Subscription) -> Vec<Read> {
    let mut all = Vec::new();
    for batch in ready_batches(subscription) {
        all.extend(batch.iter().map(|event| Read {
            sequence: event.cursor.unwrap().sequence(),
            topic: event.topic.to_string(),
            text: event.event.as_str().unwrap().to_owned(),
        }));
    }
    assert!(poll(subscription).is_pending(), "no end");
    all
}

/// Publishes one event to each of these topics, in this order.
fn publish(hub: &LocalHub, topics: &[usize]) -> Vec<Read> {
    let publish = |&at: &usize| {
        let text = fastrand::u32(..).to_string();
        let sequence = hub.publish_now(topic(TOPICS[at]), text.as_str()).unwrap().cursor().unwrap().sequence();
        Read { sequence, topic: TOPICS[at].to_owned(), text }
    };
    topics.iter().map(publish).collect()
}

#[test]
fn every_property_number_has_a_test() {
    let functions = crate::support::functions("tests/it".as_ref());
    for number in 1..=24 {
        let name = format!("p{number}_");
        assert!(functions.iter().any(|function| function.starts_with(&name)), "no test {name}");
    }
}
