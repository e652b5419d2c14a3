//! Bytes that a batch reserves in the budget of a hub with history and followed patterns.

use std::iter::once;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use proptest::prelude::*;
use tidings::time::{Clock, StdClock};
use tidings::{Event, LocalHub, PublishError, Retention, Subscribe, Subscription, Topic};

use super::budget::{history, hub, kib, publish};
use crate::support::subtopic;

/// Maximum bytes of the log of a pattern: 1,024 events or 256 KiB, and one segment.
const PATTERN_LOG: usize = 512 * 1024;

fn follow(hub: &LocalHub, patterns: &[&str]) -> Vec<Subscription> {
    patterns.iter().map(|pattern| hub.subscribe(Subscribe::patterns([*pattern])).unwrap()).collect()
}

#[test]
fn batch_of_10000_small_events_fits_an_empty_hub_with_followed_patterns() {
    for topics in [1, 100, 10_000] {
        let hub = LocalHub::new();
        let followers = follow(&hub, &["topic/*", "**"]);
        let batch = (0..10_000).map(|n| (subtopic(n % topics), Event::text("tick")));
        assert_eq!(hub.publish_batch(batch).unwrap().len(), 10_000, "{topics} topics");
        let stats = hub.stats();
        assert_eq!((stats.published, stats.evicted_by_budget), (10_000, 0), "{topics} topics");
        drop(followers);
    }
}

#[test]
fn batch_with_a_followed_pattern_evicts_no_history_below_the_budget() {
    let hub = LocalHub::new();
    let payload = Bytes::from(vec![b'x'; 64 * 1024]);
    let mut held = 0;
    while hub.stats().bytes < 236 << 20 {
        hub.publish_now(subtopic(format_args!("held/{}", held / 10)), Event::binary(payload.clone())).unwrap();
        held += 1;
    }
    let before = hub.stats();
    assert_eq!(before.evicted, 0, "{before:?}");
    let followers = follow(&hub, &["topic/*"]);
    hub.publish_batch((0..5_000).map(|n| (subtopic(n % 500), Event::text("tick")))).unwrap();
    let stats = hub.stats();
    assert_eq!(stats.evicted_by_budget, 0, "{stats:?}");
    assert!(stats.bytes < before.bytes + (3 << 20), "added less than 3 MiB: {stats:?}");
    drop(followers);
}

/// Events that the retention evicts while a batch is published are not reserved.
#[test]
fn batch_larger_than_the_retention_evicts_no_other_topic() {
    let limit = 4 << 20;
    let hub = LocalHub::builder()
        .retain(Retention::count(usize::MAX))
        .retain_for("topic/short", Retention::count(100))
        .max_bytes(limit)
        .build();
    publish(&hub, &subtopic("other"), 1_000);
    publish(&hub, &subtopic("another"), 1_000);
    hub.publish_batch((0..5_000).map(|_| (subtopic("short"), kib()))).unwrap();
    assert_eq!(hub.stats().evicted_by_budget, 0);
    assert_eq!(["other", "another", "short"].map(|name| history(&hub, &subtopic(name)).len()), [1_000, 1_000, 100]);
}

/// A batch evicts events of the live buffer before history.
#[test]
fn batch_larger_than_the_retention_evicts_no_history_for_a_connected_reader() {
    for other in [0, 1_500] {
        let hub = LocalHub::builder()
            .retain(Retention::count(usize::MAX))
            .retain_for("topic/short", Retention::count(100))
            .max_bytes(4 << 20)
            .build();
        publish(&hub, &subtopic("other"), other);
        publish(&hub, &subtopic("another"), other);
        let reader = hub.subscribe(Subscribe::topics([subtopic("short")])).unwrap();
        hub.publish_batch((0..3_000 + 2_000 * usize::from(other == 0)).map(|_| (subtopic("short"), kib()))).unwrap();
        let stats = hub.stats();
        assert_eq!(stats.evicted_by_budget, 0, "{stats:?}");
        assert!(stats.bytes <= 4 << 20, "{stats:?}");
        drop(reader);
    }
}

#[test]
fn batch_of_large_events_reserves_for_a_pattern_at_most_what_its_log_keeps() {
    let hub = LocalHub::builder()
        .retain(Retention::count(usize::MAX).bytes(usize::MAX))
        .live_buffer(0)
        .max_bytes(20 << 20)
        .build();
    let followers = follow(&hub, &["topic/*", "topic/**", "**"]);
    publish(&hub, &subtopic("old"), 4_000);
    // The topic takes 10 MiB and each pattern about 1 MiB, not 10 MiB.
    hub.publish_batch((0..100).map(|_| (subtopic("new"), Event::binary(vec![0; 100 * 1024])))).unwrap();
    assert_eq!(hub.stats().evicted_by_budget, 0);
    drop(followers);
}

proptest! {
    #![proptest_config(crate::support::cases(100))]

    /// For any batches and patterns the bytes stay within the limit, and nothing is evicted as long as the bytes of a hub
    /// without a limit would fit.
    #[test]
    fn p13_batches_stay_within_the_budget_and_evict_nothing_that_fits(
        limit in 500_000..2_000_000_usize,
        patterns in prop::sample::subsequence(vec!["topic/*", "**"], 0..=2),
        batches in prop::collection::vec((1..300_usize, 1..300_usize, 0..1_500_usize, any::<bool>()), 1..20),
    ) {
        let (hub, unlimited) = (hub(limit), hub(usize::MAX));
        let followers = (follow(&hub, &patterns), follow(&unlimited, &patterns));
        let room = limit - patterns.len() * PATTERN_LOG.min(limit / 4);
        let topics: Vec<_> = (0..300).map(subtopic).collect();
        for (spread, events, len, is_keyed) in batches {
            let event = |n: usize| {
                let event = Event::text("x".repeat(n * 37 % (len + 1)));
                if is_keyed { event.with_key(&n.to_string()).unwrap() } else { event }
            };
            let batch: Vec<_> = (0..events).map(|n| (topics[n % spread].clone(), event(n))).collect();
            unlimited.publish_batch(batch.clone()).unwrap();
            let published = hub.publish_batch(batch);
            let (stats, other) = (hub.stats(), unlimited.stats());
            prop_assert!(stats.bytes <= limit, "{stats:?}");
            let fits = other.bytes <= room;
            prop_assert!(!fits || stats.evicted_by_budget == 0, "{stats:?} beside {other:?}");
            prop_assert!(!fits || published.is_ok(), "{published:?} beside {other:?}");
        }
        drop(followers);
    }
}

#[test]
fn batch_of_one_event_reserves_the_same_bytes_as_a_single_publish() {
    let limit = 300_000;
    let (one, all) = (hub(limit), hub(limit));
    let followers = (follow(&one, &["**"]), follow(&all, &["**"]));
    for n in 0..2_000 {
        let topic: Topic = subtopic(n % 50);
        one.publish_now(&topic, kib()).unwrap();
        all.publish_batch([(topic, kib())]).unwrap();
    }
    assert_eq!(one.stats().bytes, all.stats().bytes);
    drop(followers);
}

/// The clock of the system, or a panic.
#[derive(Clone, Default)]
struct Fragile(Arc<AtomicBool>);

impl Clock for Fragile {
    fn now(&self) -> Instant {
        assert!(!self.0.load(Ordering::Relaxed), "as a test");
        StdClock::default().now()
    }
}

#[test]
fn refused_or_interrupted_batch_leaves_no_topics() {
    let clock = Fragile::default();
    let hub = LocalHub::builder().max_event(2_000).max_bytes(100_000).max_topics(20).clock(clock.clone()).build();
    let new = |topics: usize, payload: &'static str| (0..topics).map(move |n| (subtopic(n), Event::text(payload)));
    let large = || once((subtopic("large"), Event::text("x".repeat(2_001))));
    assert!(matches!(hub.publish_batch(new(10, "x").chain(large())), Err(PublishError::TooLarge { .. })));
    assert!(matches!(hub.publish_batch(new(21, "x")), Err(PublishError::TooManyTopics { .. })));
    let many = (0..200).map(|n| (subtopic(n % 10), kib()));
    assert!(matches!(hub.publish_batch(many), Err(PublishError::Full { .. })));
    assert!(matches!(hub.publish_now(subtopic("large"), "x".repeat(2_001)), Err(PublishError::TooLarge { .. })));
    let panics = new(10, "x").inspect(|(name, _)| assert!(*name != subtopic(9), "as a test"));
    assert!(catch_unwind(AssertUnwindSafe(|| hub.publish_batch(panics))).is_err());
    clock.0.store(true, Ordering::Relaxed);
    assert!(catch_unwind(AssertUnwindSafe(|| hub.publish_batch(new(10, "x")))).is_err());
    clock.0.store(false, Ordering::Relaxed);
    let stats = hub.stats();
    assert_eq!((stats.topics, stats.tombstones, stats.bytes, stats.published), (0, 0, 0, 0));
    assert_eq!(hub.publish_batch(new(10, "x")).unwrap().len(), 10);
}

/// The logs of the patterns are evicted to make room for the last batch, which fills them with more than they keep.
#[test]
fn batch_that_fills_the_evicted_logs_of_patterns_stays_within_the_budget() {
    for limit in (1_273_000..1_303_000).step_by(997) {
        let hub = hub(limit);
        let followers = follow(&hub, &["topic/*", "**"]);
        for (topics, events, len, is_keyed) in [
            (17, 69, 1_037, true),
            (251, 390, 155, false),
            (85, 135, 59, true),
            (84, 20, 0, false),
            (101, 95, 514, false),
            (26, 380, 26, false),
            (223, 427, 1_356, false),
        ] {
            let event = |n: usize| {
                let event = Event::text("x".repeat(n * 37 % (len + 1)));
                if is_keyed { event.with_key(&n.to_string()).unwrap() } else { event }
            };
            hub.publish_batch((0..events).map(|n| (subtopic(n % topics), event(n)))).unwrap();
            let stats = hub.stats();
            assert!(stats.bytes <= limit, "{limit}: {stats:?}");
        }
        drop(followers);
    }
}
