//! The heap of a hub, by a counting allocator. One test, because all threads share the allocator.
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

/// The byte budget: 8 MiB, of which a flood of tiny topics needs fewer than 10,000.
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
        ("crowds that are gone", heap_of_crowds_that_are_gone),
        ("topics that are gone", heap_of_topics_that_are_gone),
        ("refused batches", heap_of_what_was_refused),
        ("last values", heap_of_last_values),
        ("live buffers", heap_of_live_buffers),
        ("floods of topics", heap_of_floods),
    ];
    let failed: Vec<_> = cases.iter().filter(|(_, case)| catch_unwind(case).is_err()).map(|(name, _)| name).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// Floods are within one and a half of the budget.
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
            assert!(heap() < before + 64 * 1024, "{flood}: everything is freed");
        }
    }
}

/// Events whose payloads were written into buffers that have room for more.
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

/// Topics, event names and keys that are as long as they may be, where replaced events are marked.
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

/// Subscribers that came, waited and left.
fn heap_of_crowds_that_are_gone() {
    const CROWD: usize = 2_000;
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
            let mut crowd: Vec<_> = (0..CROWD).map(|_| hub.subscribe(Subscribe::topics(&topics)).unwrap()).collect();
            for _ in 0..3 {
                crowd.iter_mut().for_each(|one| while one.poll_next(&mut cx).is_ready() {});
                publish();
            }
            if !is_woken {
                crowd.iter_mut().for_each(|one| while one.poll_next(&mut cx).is_ready() {});
            }
            rest.extend(crowd.drain(..stay));
            drop(crowd);
            rest.iter_mut().for_each(|one| while one.poll_next(&mut cx).is_ready() {});
            if stay > 0 {
                publish();
            }
        }
        let (held, counted, subscriptions) = (heap() - before, hub.stats().bytes, hub.stats().subscriptions);
        println!("crowds of {width}, woken {is_woken}, {stay} stay: {held} bytes for {counted}");
        assert_eq!(subscriptions, 20 * stay * width);
        assert!(held < counted + 1_000 * 20 * (stay + 1) * width, "{held} bytes are left, {counted} counted");
    }
}

/// Topics that had a subscription, and whose history has aged out.
fn heap_of_topics_that_are_gone() {
    const TOPICS: usize = 30_000;
    for is_read in [false, true] {
        let before = heap();
        let retention = Retention::count(10).age(Duration::ZERO);
        // The least number of dropped topics that a hub remembers, 1,024.
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
        println!("{TOPICS} topics that are gone, read {is_read}: {held} bytes");
        assert_eq!((stats.topics, stats.bytes, stats.tombstones), (0, 0, 1_024));
        assert!(held < 400 * 1_024, "{held} bytes are left of {TOPICS} topics");
    }
    // All at once: the tables that find them have grown. Events without a time to live leave nothing to remember.
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
        println!("{TOPICS} topics that were there at once, published to {publishes}: {held} bytes");
        assert_eq!((stats.topics, stats.bytes, stats.tombstones), (0, 0, 0));
        assert!(held < 200 * 1_024, "{held} bytes are left of {TOPICS} topics");
    }
}

/// Batches, events and subscriptions that were refused.
fn heap_of_what_was_refused() {
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

/// Subscriptions that read nothing, each of a topic of its own.
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
