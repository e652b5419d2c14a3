//! The live buffer: its events, its release, and its place in the order of eviction.

use std::task::Poll;

use tidings::subscriber::{Delivery, SubscriptionEnd};
use tidings::{
    Event, Gap, GapReason, LocalHub, LocalHubBuilder, Overflow, Retention, Start, Subscribe, Subscriber, Subscription,
    Topic,
};

use super::live_buffer_sequences::{NAMES, TOPICS, follows, topic_of};
use crate::support::{poll, topic};

/// Reads everything that is ready. Returns the number of events, and the gaps.
fn read(subscription: &mut Subscription) -> (usize, Vec<Gap>) {
    let (mut events, mut gaps) = (0, Vec::new());
    while let Poll::Ready(delivery) = poll(subscription) {
        match delivery {
            Delivery::Events(batch) => events += batch.len(),
            Delivery::Gap(gap) => gaps.push(gap),
            other => panic!("{other:?}"),
        }
    }
    (events, gaps)
}

fn batch(topic: usize, events: usize, len: usize) -> Vec<(Topic, Event)> {
    let event = Event::text("x".repeat(len));
    (0..events).map(|_| (topic_of(topic), event.clone())).collect()
}

#[test]
fn idle_reader_gets_every_event_of_a_batch_larger_than_history() {
    let hubs = [
        (LocalHub::new(), 5_000, 4, 1_000),
        (LocalHub::builder().retain(Retention::count(5)).build(), 50, 100, 5),
        (LocalHub::builder().retain(Retention::count(1)).build(), 50, 0, 1),
        (LocalHub::builder().retain(Retention::count(0)).build(), 300, 100, 0),
        (LocalHub::builder().retain(Retention::default().bytes(1_000)).build(), 300, 100, 10),
    ];
    for (hub, events, len, retained) in hubs {
        for names in NAMES.iter().filter(|names| follows(names, 0)) {
            let mut idle = hub.subscribe(Subscribe::patterns(names.iter().copied())).unwrap();
            assert_eq!(read(&mut idle), (0, Vec::new()));
            let before = hub.cursor();
            hub.publish_batch(batch(0, events, len)).unwrap();
            assert_eq!(read(&mut idle), (events, Vec::new()), "{names:?}");
            let subscribe = || Subscribe::patterns(names.iter().copied());
            let (oldest, _) = read(&mut hub.subscribe(subscribe().start(Start::Oldest)).unwrap());
            let (back, gaps) = read(&mut hub.subscribe(subscribe().start(Start::After(before))).unwrap());
            assert_eq!((oldest, back), (retained, retained), "{names:?}: new readers get the retained events");
            let lost = gaps.iter().map(|gap| (gap.reason, gap.cursor.sequence())).collect::<Vec<_>>();
            let last_lost = hub.cursor().sequence() - retained as u64;
            assert_eq!(lost, [(GapReason::Evicted, last_lost)], "{names:?}");
        }
    }
}

#[test]
fn connected_reader_gets_a_large_event_and_the_small_one_after_it() {
    for names in NAMES.iter().filter(|names| follows(names, 0)) {
        let hub = LocalHub::new();
        let mut reader = hub.subscribe(Subscribe::patterns(names.iter().copied())).unwrap();
        assert_eq!(read(&mut reader), (0, Vec::new()));
        hub.publish_now(topic_of(0), Event::binary(vec![0; 1 << 20])).unwrap();
        hub.publish_now(topic_of(0), "small").unwrap();
        assert_eq!(hub.stats().retained, 1);
        assert_eq!(read(&mut reader), (2, Vec::new()), "{names:?}");
    }
}

#[test]
fn reader_behind_the_live_buffer_continues_at_its_oldest_event() {
    let hub = LocalHub::builder().retain(Retention::count(10)).build();
    let mut gap = hub.subscribe(Subscribe::topics([TOPICS[0]])).unwrap();
    let mut strict = hub.subscribe(Subscribe::topics([TOPICS[0]]).overflow(Overflow::Disconnect)).unwrap();
    let mut with_key = hub.subscribe(Subscribe::topics([TOPICS[0]]).overflow(Overflow::Latest)).unwrap();
    hub.publish_batch(batch(0, 3_000, 1_024)).unwrap();
    assert_eq!(read(&mut strict), (3_000, Vec::new()), "3 MiB are no more than the live buffer");
    hub.publish_batch(batch(0, 3_000, 1_024)).unwrap();
    for reader in [&mut gap, &mut with_key] {
        let (events, gaps) = read(reader);
        assert_eq!(gaps.len(), 1);
        assert_eq!(gaps[0].missed, Some(6_000 - events as u64));
        assert_eq!(gaps[0].cursor.sequence(), 6_000 - events as u64);
        let bytes = events * 1_024;
        assert!(
            (LocalHubBuilder::LIVE_BUFFER - (512 << 10)..=LocalHubBuilder::LIVE_BUFFER).contains(&bytes),
            "{bytes}"
        );
    }
    assert_eq!(read(&mut strict), (3_000, Vec::new()));
    strict.release();
    hub.publish_batch(batch(0, 6_000, 1_024)).unwrap();
    let end = poll(&mut strict);
    assert!(
        matches!(end, Poll::Ready(Delivery::End(SubscriptionEnd::TooSlow))),
        "it lags by more than the live buffer"
    );
}

#[test]
fn live_buffer_of_a_reader_that_conflates_keeps_the_newest_of_each_key() {
    let hub = LocalHub::builder().retain(Retention::count(5)).build();
    let mut ticker = hub.subscribe(Subscribe::topics([TOPICS[0]]).overflow(Overflow::Latest)).unwrap();
    assert_eq!(read(&mut ticker), (0, Vec::new()));
    let event = |n: usize| Event::text(n.to_string()).with_key(&(n % 100).to_string()).unwrap();
    hub.publish_batch((0..2_000).map(|n| (topic_of(0), event(n)))).unwrap();
    assert_eq!(read(&mut ticker), (100, Vec::new()));
    let stats = hub.stats();
    assert_eq!((stats.delivered, stats.conflated, stats.missed, stats.retained), (100, 1_900, 0, 5));
}

#[test]
fn live_buffer_is_released_when_it_is_read_and_when_the_last_reader_leaves() {
    for names in NAMES.iter().filter(|names| follows(names, 0)) {
        let hub = LocalHub::builder().retain(Retention::count(5)).build();
        let subscribe = || hub.subscribe(Subscribe::patterns(names.iter().copied())).unwrap();
        let [mut quick, slow] = [subscribe(), subscribe()];
        read(&mut quick);
        hub.publish_batch(batch(0, 1_000, 1_000)).unwrap();
        read(&mut quick);
        hub.sweep();
        assert!(hub.stats().bytes > 1_000_000, "{names:?}: one reader has not read them");
        assert_eq!((hub.stats().retained, hub.stats().evicted), (5, 995));
        drop(slow);
        hub.sweep();
        let bytes = hub.stats().bytes;
        // The log of a pattern always keeps 256 KiB.
        let most = if names.iter().any(|name| name.ends_with('*')) { 400_000 } else { 150_000 };
        assert!(bytes < most, "{names:?}: {bytes}");

        let slow = subscribe();
        hub.publish_batch(batch(0, 1_000, 1_000)).unwrap();
        assert!(hub.stats().bytes > 1_000_000);
        drop((quick, slow));
        let bytes = hub.stats().bytes;
        assert!(bytes < 80_000, "{names:?}: {bytes}");
    }
}

#[test]
fn live_buffers_are_evicted_before_history_that_retention_promises() {
    const TOPICS: usize = 20;
    let numbered = |n: usize| topic(format_args!("t/{n}"));
    let limit = 8 << 20;
    for pattern in [None, Some("t/*")] {
        let hub = LocalHub::builder().retain(Retention::count(100)).max_bytes(limit).build();
        let mut readers: Vec<_> = match pattern {
            Some(pattern) => vec![hub.subscribe(Subscribe::patterns([pattern])).unwrap()],
            None => (0..TOPICS).map(|n| hub.subscribe(Subscribe::topics([numbered(n)])).unwrap()).collect(),
        };
        for n in 0..TOPICS * 2_000 {
            hub.publish_now(numbered(n % TOPICS), Event::text("x".repeat(1_000))).unwrap();
        }
        let stats = hub.stats();
        assert!(stats.bytes <= limit && stats.bytes > limit / 2, "{stats:?}");
        assert_eq!((stats.retained, stats.evicted_by_budget), (100 * TOPICS as u64, 0), "{pattern:?}");
        for reader in &mut readers {
            let (events, gaps) = read(reader);
            assert!(events >= 100 && !gaps.is_empty(), "{events}");
        }
    }
}

#[test]
fn newest_segment_without_history_is_evicted_before_history() {
    let limit = 1 << 20;
    let hub =
        LocalHub::builder().retain(Retention::count(0)).retain_for("kept/*", Retention::count(1)).max_bytes(limit);
    let (hub, numbered) = (hub.build(), |name: &str, n: usize| topic(format_args!("{name}/{n}")));
    let large = || Event::text("x".repeat(10_000));
    (0..50).for_each(|n| _ = hub.publish_now(numbered("kept", n), large()).unwrap());
    let follow = |n| hub.subscribe(Subscribe::topics([numbered("live", n)])).unwrap();
    let mut readers: Vec<_> = (0..100).map(follow).collect();
    readers.iter_mut().for_each(|reader| assert_eq!(read(reader), (0, Vec::new())));
    for n in 0..500 {
        hub.publish_now(numbered("live", n % 100), large()).unwrap();
        // Each reader that is woken to release a segment releases it and gets no event again.
        let all = readers.iter_mut().map(|reader| read(reader).0);
        assert_eq!(all.sum::<usize>(), 1);
        assert!(hub.stats().bytes <= limit, "{:?}", hub.stats());
    }
    let stats = hub.stats();
    assert_eq!((stats.retained, stats.evicted_by_budget), (50, 0), "{stats:?}");
}
