//! The heap of a hub, measured by a counting allocator. There is one test, because all threads share the allocator.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, reason = "a test's panic is its verdict")]

use std::alloc::System;
use std::panic::catch_unwind;
use std::task::{Context, Waker};
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tidings::{Event, LocalHub, Overflow, Retention, Subscribe, Subscriber, Topic};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The byte budget: 8 MiB, which fewer than 10,000 tiny topics fill.
const LIMIT: usize = 8 << 20;

/// Returns the n-th event of a flood.
type EventOf<'a> = &'a dyn Fn(usize) -> Event;

fn heap() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

#[test]
fn heap_stays_within_the_bytes_that_the_budget_counts() {
    let cases: [(&str, fn()); 8] = [
        ("payloads with spare capacity", heap_of_payloads_with_spare_capacity),
        ("long names", heap_of_long_names),
        ("dropped subscriptions", heap_of_dropped_subscriptions),
        ("dropped topics", heap_of_dropped_topics),
        ("refused batches", heap_of_refused_operations),
        ("last values", heap_of_last_values),
        ("live buffers", heap_of_live_buffers),
        ("floods of topics", heap_of_floods),
    ];
    let failed: Vec<_> = cases.iter().filter(|(_, case)| catch_unwind(case).is_err()).map(|(name, _)| name).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// Floods of topics use at most one and a half times the budget.
fn heap_of_floods() {
    let long = "n".repeat(240);
    let labelled =
        |n: usize| Event::text("x").with_name("price").and_then(|event| event.with_key(&n.to_string())).unwrap();
    let floods: [(&str, &str, EventOf<'_>); 4] = [
        ("tiny topics", "t", &|_| Event::text("")),
        ("long names", &long, &|_| Event::text("x")),
        ("labelled events", "labelled", &labelled),
        ("events of 1 KiB", "large", &|_| Event::text("x".repeat(1024))),
    ];
    for (flood, prefix, event) in floods {
        for overflow in [None, Some(Overflow::Gap), Some(Overflow::Latest)] {
            let before = heap();
            let hub = LocalHub::builder().max_bytes(LIMIT).build();
            let all = || Subscribe::patterns(["**"]);
            let pattern = overflow.map(|overflow| hub.subscribe(all().overflow(overflow)).unwrap());
            let (mut peak, mut counted) = (0, 0);
            for n in 0..20_000 {
                hub.publish_now(Topic::new(format!("{prefix}/{n}")).unwrap(), event(n)).unwrap();
                if n % 1_000 == 999 {
                    peak = peak.max(heap() - before);
                    counted = hub.stats().bytes;
                    let ratio = peak as f64 / LIMIT as f64;
                    assert!(ratio <= 1.5, "{flood} after {n}: {ratio:.2} of the budget, {counted} bytes counted");
                }
            }
            println!("{flood}, {overflow:?}: peak {:.2} of the budget", peak as f64 / LIMIT as f64);
            assert!(counted <= LIMIT && counted > LIMIT / 2, "{flood}: {counted}");
            drop((pattern, hub));
            assert!(heap() < before + 64 * 1024, "{flood}: bytes are left");
        }
    }
}

/// Events whose payloads are in buffers with spare capacity.
fn heap_of_payloads_with_spare_capacity() {
    let spare = |n: usize| {
        let mut text = String::with_capacity(4096);
        text.push_str(&n.to_string());
        text
    };
    let events: &[(&str, EventOf<'_>)] = &[
        ("text", &|n| Event::text(spare(n))),
        #[cfg(feature = "json")]
        ("json", &|n| Event::json(&["x".repeat(100), n.to_string()]).unwrap()),
        #[cfg(feature = "json")]
        ("JSON text", &|n| Event::json_text(format!("[\n{:?},\n{n}\n]", "x".repeat(100))).unwrap()),
    ];
    for (kind, event) in events {
        let before = heap();
        let hub = LocalHub::builder().retain(Retention::count(1_000)).build();
        for n in 0..1_000 {
            hub.publish_now(Topic::new("spare").unwrap(), event(n)).unwrap();
        }
        let (held, counted) = (heap() - before, hub.stats().bytes);
        println!("{kind}: {held} bytes for {counted}");
        assert!(held <= counted, "{kind}: {held} bytes for {counted}");
    }
}

/// Topics, event names and keys of maximum length, with marks of replaced events.
fn heap_of_long_names() {
    let (path, label) = ("n".repeat(240), "l".repeat(Event::MAX_LABEL - 5));
    for (topics, keys) in [(2_000, 1), (1, 2_000), (100, 20)] {
        for followed in [None, Some("**"), Some("n*")] {
            let before = heap();
            let hub = LocalHub::builder().retain(Retention::count(2_000)).build();
            let latest = |what: Subscribe| hub.subscribe(what.overflow(Overflow::Latest)).unwrap();
            let name = |n: usize| Topic::new(format!("{path}/{n:05}")).unwrap();
            let all: Vec<_> = match followed {
                None => Vec::new(),
                Some("**") => vec![latest(Subscribe::patterns(["**"]))],
                Some(_) => (0..topics).map(|n| latest(Subscribe::topics([name(n)]))).collect(),
            };
            let followers = heap() - before;
            for n in 0..topics * keys {
                let event = Event::text("")
                    .with_name(&label)
                    .and_then(|event| event.with_key(&format!("{label}{:05}", n % keys)));
                hub.publish_now(name(n % topics), event.unwrap()).unwrap();
            }
            let (held, counted) = (heap() - before - followers, hub.stats().bytes);
            println!("{topics} topics, {keys} keys, {followed:?}: {held} bytes for {counted}");
            assert!(held <= counted, "{topics} topics, {keys} keys, {followed:?}: {held} bytes for {counted}");
            drop(all);
        }
    }
}

/// Subscriptions that waited and were dropped.
fn heap_of_dropped_subscriptions() {
    const SUBSCRIPTIONS: usize = 2_000;
    let mut cx = Context::from_waker(Waker::noop());
    for (width, is_woken, stay) in
        [(1, false, 0), (1, true, 0), (2, false, 0), (2, true, 0), (1, true, 3), (2, true, 3)]
    {
        let before = heap();
        let hub = LocalHub::builder().retain(Retention::count(1)).build();
        let mut rest = Vec::new();
        for room in 0..20 {
            let topics: Vec<_> = (0..width).map(|n| Topic::new(format!("room/{room}/{n}")).unwrap()).collect();
            let publish = || {
                for topic in &topics {
                    hub.publish_now(topic, "x").unwrap();
                }
            };
            publish();
            let mut all: Vec<_> =
                (0..SUBSCRIPTIONS).map(|_| hub.subscribe(Subscribe::topics(&topics)).unwrap()).collect();
            for _ in 0..3 {
                all.iter_mut().for_each(|one| while one.poll_next(&mut cx).is_ready() {});
                publish();
            }
            if !is_woken {
                all.iter_mut().for_each(|one| while one.poll_next(&mut cx).is_ready() {});
            }
            rest.extend(all.drain(..stay));
            drop(all);
            rest.iter_mut().for_each(|one| while one.poll_next(&mut cx).is_ready() {});
            if stay > 0 {
                publish();
            }
        }
        let (held, counted, subscriptions) = (heap() - before, hub.stats().bytes, hub.stats().subscriptions);
        println!("subscriptions of {width} topics, woken {is_woken}, {stay} stay: {held} bytes for {counted}");
        assert_eq!(subscriptions, 20 * stay * width);
        assert!(held < counted + 1_000 * 20 * (stay + 1) * width, "{held} bytes are left, {counted} counted");
    }
}

/// Topics with and without a subscription, whose history has expired.
fn heap_of_dropped_topics() {
    const TOPICS: usize = 30_000;
    for is_read in [false, true] {
        let before = heap();
        let retention = Retention::count(10).age(Duration::ZERO);
        // A hub of this budget has the least number of tombstones, 1,024.
        let hub = LocalHub::builder().max_bytes(4 << 20).retain(retention).build();
        for chunk in 0..TOPICS / 1_000 {
            let mut all = Vec::new();
            for n in 0..1_000 {
                let topic = Topic::new(format!("gone/{chunk}/{n}")).unwrap();
                all.extend(is_read.then(|| hub.subscribe(Subscribe::topics([&topic])).unwrap()));
                hub.publish_now(&topic, "x").unwrap();
            }
        }
        hub.sweep();
        let (held, stats) = (heap() - before, hub.stats());
        println!("{TOPICS} dropped topics, read {is_read}: {held} bytes");
        assert_eq!((stats.topics, stats.bytes, stats.tombstones), (0, 0, 1_024));
        assert!(held < 400 * 1_024, "{held} bytes are left of {TOPICS} topics");
    }
    // All topics exist at once, so the tables of the registry grow. Events with a zero time to live leave no tombstones.
    for publishes in [false, true] {
        let before = heap();
        let hub = LocalHub::new();
        let name = |n: usize| Topic::new(format!("gone/{n}")).unwrap();
        let all: Vec<_> = (0..TOPICS).map(|n| hub.subscribe(Subscribe::topics([name(n)])).unwrap()).collect();
        if publishes {
            (0..TOPICS)
                .for_each(|n| assert!(hub.publish_now(name(n), Event::text("x").with_ttl(Duration::ZERO)).is_ok()));
        }
        drop(all);
        let (held, stats) = (heap() - before, hub.stats());
        println!("{TOPICS} topics at once, published to {publishes}: {held} bytes");
        assert_eq!((stats.topics, stats.bytes, stats.tombstones), (0, 0, 0));
        assert!(held < 200 * 1_024, "{held} bytes are left of {TOPICS} topics");
    }
}

/// Refused batches, events and subscriptions.
fn heap_of_refused_operations() {
    let before = heap();
    let hub = LocalHub::builder().max_event(100).max_topics(10).max_bytes(1 << 20).build();
    let large = || Event::text("x".repeat(101));
    for round in 0..1_000 {
        let name = |n: usize| Topic::new(format!("refused/{round}/{n}")).unwrap();
        let too_large = (100..105).map(|n| (name(n), Event::text("x"))).chain([(name(105), large())]);
        assert!(hub.publish_batch(too_large).is_err());
        assert!(hub.publish_batch((0..11).map(|n| (name(n), Event::text("x")))).is_err());
        assert!(hub.publish_now(name(0), large()).is_err());
        assert!(hub.subscribe(Subscribe::topics((0..20).map(name))).is_err());
        assert!(
            hub.subscribe(Subscribe::patterns((0..20).map(|n| format!("refused/{round}/{n}")).chain(["a/*".into()])))
                .is_err()
        );
    }
    let (held, stats) = (heap() - before, hub.stats());
    println!("refused: {held} bytes");
    assert_eq!((stats.topics, stats.patterns, stats.bytes), (0, 0, 0));
    assert!(held < 64 * 1_024, "{held} bytes are left");
}

/// Subscriptions that read nothing, one for each topic.
fn heap_of_live_buffers() {
    let before = heap();
    let hub = LocalHub::builder().max_bytes(LIMIT).retain(Retention::count(10)).build();
    let topics: Vec<_> = (0..20).map(|n| Topic::new(format!("behind/{n}")).unwrap()).collect();
    let behind: Vec<_> = topics.iter().map(|topic| hub.subscribe(Subscribe::topics([topic])).unwrap()).collect();
    for n in 0..20_000 {
        hub.publish_now(&topics[n % 20], Event::text("x".repeat(1024))).unwrap();
    }
    let (held, counted) = (heap() - before, hub.stats().bytes);
    println!("live buffers: {:.2} of the budget", held as f64 / LIMIT as f64);
    assert!(counted > LIMIT / 2 && counted <= LIMIT, "{counted}");
    assert!(held as f64 <= 1.1 * counted as f64, "{held} for {counted}");
    drop(behind);
    let (held, counted) = (heap() - before, hub.stats().bytes);
    assert!(counted < 20 * 11 * 1_200 + 20 * 2_000, "{counted}");
    assert!(held < counted + 64 * 1024, "{held} for {counted}");
}

/// Topics that keep one event, each published to several times.
fn heap_of_last_values() {
    let before = heap();
    let hub = LocalHub::builder().max_bytes(LIMIT).retain(Retention::count(1)).build();
    for n in 0..20_000 {
        hub.publish_now(Topic::new(format!("last/{}", n % 3_000)).unwrap(), Event::text("x".repeat(1024))).unwrap();
    }
    let (held, stats) = (heap() - before, hub.stats());
    println!("last values: {:.2} of the budget", held as f64 / LIMIT as f64);
    assert_eq!((stats.retained, stats.evicted_by_budget), (3_000, 0), "{stats:?}");
    assert!(held as f64 <= 1.1 * stats.bytes as f64, "{held} for {}", stats.bytes);
}
