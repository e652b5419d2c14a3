//! Topics that keep little: what they hold beside it, and that a budget for what they promise is enough.

use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use tidings::subscriber::Delivery;
use tidings::{Event, LocalHub, Overflow, Retention, Start, Subscribe, Subscriber, Subscription, Topic};

const TOPICS: usize = 4_000;

fn topic(n: usize) -> Topic {
    Topic::new(format!("topic/{n:05}")).unwrap()
}

fn last_values() -> tidings::LocalHubBuilder {
    LocalHub::builder().retain(Retention::count(1))
}

fn event(round: usize, len: usize) -> Event {
    Event::text(format!("{round:0len$}"))
}

/// The bytes that a hub counts for a topic with one event.
fn bytes_of_one(len: usize) -> usize {
    let one = last_values().build();
    one.publish_now(topic(0), event(0, len)).unwrap();
    one.stats().bytes
}

fn read(subscription: &mut Subscription) -> Vec<String> {
    let mut texts = Vec::new();
    while let Poll::Ready(delivery) = subscription.poll_next(&mut Context::from_waker(Waker::noop())) {
        let Delivery::Events(batch) = delivery else { panic!("{delivery:?}") };
        texts.extend(batch.iter().map(|event| event.event.as_str().unwrap().to_owned()));
    }
    texts
}

/// Publishes a value of so many bytes to each topic, again and again, beside readers of every tenth that read along. Checks
/// that each topic has its last value and nothing else.
fn publish_rounds(hub: &LocalHub, len: usize) {
    let follow = |n| hub.subscribe(Subscribe::topics([topic(n * 10)])).unwrap();
    let mut readers: Vec<_> = (0..TOPICS / 10).map(follow).collect();
    readers.iter_mut().for_each(|reader| assert!(read(reader).is_empty()));
    for round in 0..12 {
        for n in 0..TOPICS {
            hub.publish_now(topic(n * 7_919 % TOPICS), event(round, len)).unwrap();
        }
        readers.iter_mut().for_each(|reader| assert_eq!(read(reader).len(), 1));
    }
    let stats = hub.stats();
    assert_eq!((stats.retained, stats.evicted_by_budget), (TOPICS as u64, 0), "{stats:?}");
    for n in 0..TOPICS {
        let values = read(&mut hub.subscribe(Subscribe::topics([topic(n)]).start(Start::Oldest)).unwrap());
        assert_eq!(values, [format!("{:0len$}", 11)], "topic {n}");
    }
}

#[test]
fn topics_that_keep_one_event_keep_it_within_a_budget_for_as_many() {
    let promised = TOPICS * bytes_of_one(1_024);
    assert!(promised < 2 * TOPICS * 1_024, "{promised}");
    let hub = last_values().max_bytes(promised + promised / 50).build();
    publish_rounds(&hub, 1_024);
}

#[test]
fn topics_that_keep_one_event_hold_little_else() {
    for len in [1_024, 100, 1] {
        let hub = last_values().build();
        publish_rounds(&hub, len);
        let (bytes, promised) = (hub.stats().bytes, TOPICS * bytes_of_one(len));
        let most = promised + if len == 1_024 { promised / 50 } else { TOPICS * 1_000 };
        assert!(bytes <= most, "{bytes} for {promised}");
    }
}

/// A burst that a reader did not follow leaves nothing behind once it is read.
#[test]
fn topic_that_keeps_one_event_is_small_again_after_a_burst() {
    let hub = last_values().build();
    let mut reader = hub.subscribe(Subscribe::topics([topic(0)])).unwrap();
    assert!(read(&mut reader).is_empty());
    hub.publish_batch((0..100).map(|n| (topic(0), event(n, 1_024)))).unwrap();
    assert_eq!(read(&mut reader).len(), 100);
    hub.sweep();
    let one = bytes_of_one(1_024);
    for n in 100..103 {
        hub.publish_now(topic(0), event(n, 1_024)).unwrap();
        assert_eq!(read(&mut reader).len(), 1);
    }
    assert!(hub.stats().bytes < 3 * one, "{:?}", hub.stats());
    hub.publish_batch((0..100).map(|n| (topic(0), event(n, 1_024)))).unwrap();
    drop(reader);
    assert!(hub.stats().bytes < 2 * one, "{:?}", hub.stats());
    assert_eq!(hub.stats().pinned_bytes, 0);
    let mut late = hub.subscribe(Subscribe::topics([topic(0)]).start(Start::Oldest)).unwrap();
    hub.publish_now(topic(0), event(100, 4)).unwrap();
    assert_eq!(read(&mut late), [format!("{:01024}", 99), "0100".to_owned()]);
}

proptest! {
    #![proptest_config(crate::support::cases(100))]

    /// Whatever retention promises, a topic without a reader that is behind holds less than twice as much.
    #[test]
    fn topic_holds_less_than_twice_what_retention_promises(
        count in 0..300_usize,
        bytes in prop_oneof![0..100_000_usize, Just(1 << 20)],
        len in 0..3_000_usize,
        is_followed: bool,
    ) {
        let hub = LocalHub::builder().retain(Retention::count(count).bytes(bytes)).build();
        let mut reader = is_followed.then(|| hub.subscribe(Subscribe::topics([topic(0)])).unwrap());
        for n in 0..3 * count + 50 {
            reader.iter_mut().for_each(|reader| drop(read(reader)));
            hub.publish_now(topic(0), Event::text("x".repeat(len))).unwrap();
            let stats = hub.stats();
            // What it takes to keep an event, and a topic and its segments.
            let promised = stats.retained_bytes + 250 * stats.retained as usize + 1_500;
            prop_assert!(stats.bytes - stats.pinned_bytes <= 2 * promised + len, "event {n}: {stats:?}");
        }
    }
}

#[test]
fn overhead_of_segments_of_reasonable_events_is_below_15_percent() {
    for len in [1_024, 2_000, 4_000, 10_000, 30_000, 60_000, 100_000] {
        for count in [100, 1_000] {
            let hub = LocalHub::builder().retain(Retention::count(count).bytes(usize::MAX)).build();
            let event = Event::text("x".repeat(len));
            (0..count).for_each(|_| _ = hub.publish_now(topic(0), event.clone()).unwrap());
            let stats = hub.stats();
            let overhead = stats.bytes - stats.retained_bytes;
            assert!(overhead * 100 < stats.retained_bytes * 15, "{count} of {len}: {overhead} of {stats:?}");
        }
    }
}

/// The segment that is replaced may have others behind it, and events that newer ones of their keys replace.
#[test]
fn history_after_a_burst_is_whole_wherever_its_segments_end() {
    for events in 1..140 {
        for overflow in [Overflow::Gap, Overflow::Latest] {
            let hub = LocalHub::builder().retain(Retention::count(5)).build();
            let mut reader = hub.subscribe(Subscribe::topics([topic(0)]).overflow(overflow)).unwrap();
            assert!(read(&mut reader).is_empty());
            let event = |n: usize| event(n, 1_000).with_key(&(n % 3).to_string()).unwrap();
            hub.publish_batch((0..events).map(|n| (topic(0), event(n)))).unwrap();
            drop(reader);
            let bytes = hub.stats().bytes;
            assert!(bytes < 17_000, "{bytes} after {events}");
            let what = || Subscribe::topics([topic(0)]).start(Start::Oldest).overflow(overflow);
            let mut late = hub.subscribe(what()).unwrap();
            hub.publish_now(topic(0), event(events)).unwrap();
            let first = match overflow {
                Overflow::Latest => (events + 1).saturating_sub(3),
                _ => events.saturating_sub(5),
            };
            let expected: Vec<_> = (first..=events).map(|n| format!("{n:01000}")).collect();
            assert_eq!(read(&mut late), expected, "after {events}");
            assert_eq!((hub.stats().missed, hub.stats().retained), (0, 5.min(events as u64 + 1)));
        }
    }
}
