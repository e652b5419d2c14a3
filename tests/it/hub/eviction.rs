//! Memory of logs whose events leave history one by one. It stays within its limits, although a publish evicts little.

use std::time::Duration;

use tidings::{Event, LocalHub, LocalHubBuilder, Overflow, Retention, Subscribe, Subscription};

use crate::support::{VirtualTimer, poll, topic};

/// Number of events, which exceed the limits below if all stay in memory.
const EVENTS: usize = 10_000;

/// Returns the n-th event of a kind.
type EventOf = fn(usize) -> Event;

/// Events that leave memory a segment at a time, and events that are checked one by one.
const KINDS: [(&str, Overflow, EventOf); 3] = [
    ("plain", Overflow::Gap, |_| Event::text("x")),
    ("with_key", Overflow::Latest, |n| Event::text("x").with_key(["a", "b"][n % 2]).unwrap()),
    ("expiring", Overflow::Gap, |_| Event::text("x").with_ttl(Duration::from_secs(3_600))),
];

/// Returns a builder with a clock that stands still, so that no sweep runs.
fn builder(count: usize) -> LocalHubBuilder {
    LocalHub::builder().retain(Retention::count(count)).clock(VirtualTimer::new())
}

fn read(subscription: &mut Subscription) {
    while poll(subscription).is_ready() {}
}

fn follow(hub: &LocalHub, patterns: &[&str], overflow: Overflow) -> Vec<Subscription> {
    patterns.iter().map(|name| hub.subscribe(Subscribe::patterns([*name]).overflow(overflow)).unwrap()).collect()
}

#[test]
fn logs_of_several_patterns_that_are_read_stay_small() {
    for (kind, overflow, event) in KINDS {
        for patterns in [&["**"][..], &["a/*", "**"], &["a/*", "a/**", "**"]] {
            let hub = builder(10).build();
            let mut subscriptions = follow(&hub, patterns, overflow);
            for n in 0..EVENTS {
                hub.publish_now(topic("a/b"), event(n)).unwrap();
                subscriptions.iter_mut().for_each(read);
            }
            let (bytes, limit) = (hub.stats().bytes, 10_000 + patterns.len() * 512 * 1024);
            assert!(bytes < limit, "{kind}, {patterns:?}: {bytes} bytes");
        }
    }
}

#[test]
fn live_buffer_of_a_stalled_reader_stays_within_its_limit() {
    for (kind, overflow, event) in KINDS {
        for count in [10, 100, 256, 1_000] {
            let hub = builder(count).live_buffer(16 * 1024).build();
            let _stalled = hub.subscribe(Subscribe::topics(["a/b"]).overflow(overflow)).unwrap();
            (0..EVENTS).for_each(|n| _ = hub.publish_now(topic("a/b"), event(n)).unwrap());
            // History, two segments, and the buffer.
            let (bytes, limit) = (hub.stats().bytes, (count + 512) * 400 + 16 * 1024);
            assert!(bytes < limit, "{kind}, {count} events: {bytes} bytes");
        }
    }
}

#[test]
fn patterns_that_are_read_evict_no_history_of_quiet_topics() {
    for patterns in [&["**"][..], &["a/*", "**"]] {
        let hub = builder(10).max_bytes(2 << 20).build();
        (0..600).for_each(|n| _ = hub.publish_now(topic(format!("quiet/{n}")), "x").unwrap());
        let mut subscriptions = follow(&hub, patterns, Overflow::Gap);
        for _ in 0..2 * EVENTS {
            hub.publish_now(topic("a/b"), "x").unwrap();
            subscriptions.iter_mut().for_each(read);
        }
        assert_eq!((hub.stats().evicted_by_budget, hub.stats().topics), (0, 601), "{patterns:?}");
    }
}
