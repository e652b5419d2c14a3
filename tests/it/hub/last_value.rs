//! Topics with a retention of few events: the bytes that they hold beside them, and a budget of just their retention.

use proptest::prelude::*;
use tidings::{Event, LocalHub, Overflow, Retention, Start, Subscribe, Subscription, Topic};

use crate::support::{poll, ready_texts, subtopic};

const TOPICS: usize = 4_000;

/// Returns the n-th topic. All names have the same length.
fn numbered(n: usize) -> Topic {
    subtopic(format_args!("{n:05}"))
}

fn last_values() -> tidings::LocalHubBuilder {
    LocalHub::builder().retain(Retention::count(1))
}

fn event(round: usize, len: usize) -> Event {
    Event::text(format!("{round:0len$}"))
}

/// Returns the bytes that a hub counts for a topic with one event.
fn bytes_of_one(len: usize) -> usize {
    let one = last_values().build();
    one.publish_now(numbered(0), event(0, len)).unwrap();
    one.stats().bytes
}

/// Reads the texts that are ready. There must be no gap and no end.
fn read(subscription: &mut Subscription) -> Vec<String> {
    let texts = ready_texts(subscription);
    assert!(poll(subscription).is_pending(), "no end");
    texts
}

/// Publishes 12 values of `len` bytes to each topic, while readers of every tenth topic keep up. Checks that each topic has
/// its last value and nothing else.
fn publish_rounds(hub: &LocalHub, len: usize) {
    let follow = |n| hub.subscribe(Subscribe::topics([numbered(n * 10)])).unwrap();
    let mut readers: Vec<_> = (0..TOPICS / 10).map(follow).collect();
    readers.iter_mut().for_each(|reader| assert!(read(reader).is_empty()));
    for round in 0..12 {
        for n in 0..TOPICS {
            hub.publish_now(numbered(n * 7_919 % TOPICS), event(round, len)).unwrap();
        }
        readers.iter_mut().for_each(|reader| assert_eq!(read(reader).len(), 1));
    }
    let stats = hub.stats();
    assert_eq!((stats.retained, stats.evicted_by_budget), (TOPICS as u64, 0), "{stats:?}");
    for n in 0..TOPICS {
        let values = read(&mut hub.subscribe(Subscribe::topics([numbered(n)]).start(Start::Oldest)).unwrap());
        assert_eq!(values, [format!("{:0len$}", 11)], "topic {n}");
    }
}

#[test]
fn last_value_topics_keep_their_event_within_the_promised_budget() {
    let promised = TOPICS * bytes_of_one(1_024);
    assert!(promised < 2 * TOPICS * 1_024, "{promised}");
    let hub = last_values().max_bytes(promised + promised / 50).build();
    publish_rounds(&hub, 1_024);
}

#[test]
fn last_value_topics_hold_little_beside_their_event() {
    for len in [1_024, 100, 1] {
        let hub = last_values().build();
        publish_rounds(&hub, len);
        let (bytes, promised) = (hub.stats().bytes, TOPICS * bytes_of_one(len));
        let most = promised + if len == 1_024 { promised / 50 } else { TOPICS * 1_000 };
        assert!(bytes <= most, "{bytes} for {promised}");
    }
}

/// A burst that a reader has read leaves nothing in memory.
#[test]
fn last_value_topic_is_small_again_after_a_burst() {
    let hub = last_values().build();
    let mut reader = hub.subscribe(Subscribe::topics([numbered(0)])).unwrap();
    assert!(read(&mut reader).is_empty());
    hub.publish_batch((0..100).map(|n| (numbered(0), event(n, 1_024)))).unwrap();
    assert_eq!(read(&mut reader).len(), 100);
    hub.sweep();
    let one = bytes_of_one(1_024);
    for n in 100..103 {
        hub.publish_now(numbered(0), event(n, 1_024)).unwrap();
        assert_eq!(read(&mut reader).len(), 1);
    }
    assert!(hub.stats().bytes < 3 * one, "{:?}", hub.stats());
    hub.publish_batch((0..100).map(|n| (numbered(0), event(n, 1_024)))).unwrap();
    drop(reader);
    assert!(hub.stats().bytes < 2 * one, "{:?}", hub.stats());
    assert_eq!(hub.stats().pinned_bytes, 0);
    let mut late = hub.subscribe(Subscribe::topics([numbered(0)]).start(Start::Oldest)).unwrap();
    hub.publish_now(numbered(0), event(100, 4)).unwrap();
    assert_eq!(read(&mut late), [format!("{:01024}", 99), "0100".to_owned()]);
}

proptest! {
    #![proptest_config(crate::support::cases(100))]

    /// For any retention, a topic without a lagging reader holds less than twice as many bytes as it retains.
    #[test]
    fn topic_holds_less_than_twice_the_bytes_of_its_retention(
        count in 0..300_usize,
        bytes in prop_oneof![0..100_000_usize, Just(1 << 20)],
        len in 0..3_000_usize,
        is_followed: bool,
    ) {
        let hub = LocalHub::builder().retain(Retention::count(count).bytes(bytes)).build();
        let mut reader = is_followed.then(|| hub.subscribe(Subscribe::topics([numbered(0)])).unwrap());
        for n in 0..3 * count + 50 {
            reader.iter_mut().for_each(|reader| drop(read(reader)));
            hub.publish_now(numbered(0), Event::text("x".repeat(len))).unwrap();
            let stats = hub.stats();
            // With the overhead of each event, and of a topic and its segments.
            let promised = stats.retained_bytes + 250 * stats.retained as usize + 1_500;
            prop_assert!(stats.bytes - stats.pinned_bytes <= 2 * promised + len, "event {n}: {stats:?}");
        }
    }
}

#[test]
fn overhead_of_segments_of_1_to_100_kb_events_is_below_15_percent() {
    for len in [1_024, 2_000, 4_000, 10_000, 30_000, 60_000, 100_000] {
        for count in [100, 1_000] {
            let hub = LocalHub::builder().retain(Retention::count(count).bytes(usize::MAX)).build();
            let event = Event::text("x".repeat(len));
            (0..count).for_each(|_| _ = hub.publish_now(numbered(0), event.clone()).unwrap());
            let stats = hub.stats();
            let overhead = stats.bytes - stats.retained_bytes;
            assert!(overhead * 100 < stats.retained_bytes * 15, "{count} of {len}: {overhead} of {stats:?}");
        }
    }
}

/// A segment that a sweep replaces may be followed by others, and may have events that newer ones of their keys replace.
#[test]
fn history_after_a_burst_is_complete_wherever_its_segments_end() {
    for events in 1..140 {
        for overflow in [Overflow::Gap, Overflow::Latest] {
            let hub = LocalHub::builder().retain(Retention::count(5)).build();
            let mut reader = hub.subscribe(Subscribe::topics([numbered(0)]).overflow(overflow)).unwrap();
            assert!(read(&mut reader).is_empty());
            let event = |n: usize| event(n, 1_000).with_key(&(n % 3).to_string()).unwrap();
            hub.publish_batch((0..events).map(|n| (numbered(0), event(n)))).unwrap();
            drop(reader);
            let bytes = hub.stats().bytes;
            assert!(bytes < 17_000, "{bytes} after {events}");
            let options = || Subscribe::topics([numbered(0)]).start(Start::Oldest).overflow(overflow);
            let mut late = hub.subscribe(options()).unwrap();
            hub.publish_now(numbered(0), event(events)).unwrap();
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
