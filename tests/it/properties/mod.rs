//! Properties that always hold, one a test: P1 to P24, each named by its number here or, if its area has the means to
//! show it, there.

mod life;
mod order;
mod threads;
#[cfg(feature = "full")]
mod transports;
mod wakes;

use std::task::{Context, Poll, Waker};

use proptest::collection::vec;
use proptest::prelude::*;
use tidings::subscriber::Delivery;
use tidings::{LocalHub, Retention, Subscriber, Subscription, Topic};

const TOPICS: [&str; 3] = ["a", "b", "c/d"];

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

/// A hub that forgets nothing in a test's time.
fn keeper() -> LocalHub {
    LocalHub::builder().retain(Retention::count(usize::MAX).bytes(usize::MAX)).build()
}

/// To which topics a publisher publishes, one after the other.
fn bursts(most: usize) -> impl Strategy<Value = Vec<usize>> {
    vec(0..TOPICS.len(), 0..most)
}

/// An event as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Read {
    sequence: u64,
    topic: String,
    text: String,
}

fn poll(subscription: &mut Subscription) -> Poll<Delivery> {
    subscription.poll_next(&mut Context::from_waker(Waker::noop()))
}

/// Everything that is ready.
fn read(subscription: &mut Subscription) -> Vec<Read> {
    let mut all = Vec::new();
    while let Poll::Ready(delivery) = poll(subscription) {
        let Delivery::Events(batch) = delivery else { panic!("{delivery:?}") };
        all.extend(batch.iter().map(|event| Read {
            sequence: event.cursor.unwrap().sequence(),
            topic: event.topic.to_string(),
            text: event.event.as_str().unwrap().to_owned(),
        }));
    }
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
fn every_property_has_its_test() {
    let functions = crate::support::functions("tests/it".as_ref());
    for number in 1..=24 {
        let name = format!("p{number}_");
        assert!(functions.iter().any(|function| function.starts_with(&name)), "no test {name}");
    }
}
