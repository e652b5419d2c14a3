//! The heap of a hub under floods of topics, by a counting allocator. One test, because all threads share the allocator.
#![cfg(not(loom))]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tidings::{Event, LocalHub, Overflow, Retention, Subscribe, Topic};

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
fn heap_under_topic_floods_is_within_one_and_a_half_of_the_byte_budget() {
    let long = "n".repeat(240);
    let labelled = |n: usize| Event::text("x").named("price").and_then(|event| event.keyed(&n.to_string())).unwrap();
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
                hub.publish_now(&Topic::new(format!("{prefix}/{n}")).unwrap(), event(n)).unwrap();
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
    heap_of_live_buffers();
    heap_of_last_values();
}

/// Subscriptions that read nothing, each of a topic of its own.
fn heap_of_live_buffers() {
    let before = heap();
    let hub = LocalHub::builder().max_bytes(LIMIT).retain(Retention::count(10)).build();
    let topics: Vec<_> =
        (0..20).map(|n| Topic::new(format!("behind/{n}")).expect("valid, and within the budget")).collect();
    let behind: Vec<_> = topics
        .iter()
        .map(|topic| hub.subscribe(Subscribe::topics([topic])).expect("valid, and within the budget"))
        .collect();
    for n in 0..20_000 {
        hub.publish_now(&topics[n % 20], Event::text("x".repeat(1024))).expect("valid, and within the budget");
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
        hub.publish_now(
            &Topic::new(format!("last/{}", n % 3_000)).expect("valid, and within the budget"),
            Event::text("x".repeat(1024)),
        )
        .expect("valid, and within the budget");
    }
    let (held, stats) = (heap() - before, hub.stats());
    println!("last values: {:.2} of the budget", held as f64 / LIMIT as f64);
    assert_eq!((stats.retained, stats.evicted_by_budget), (3_000, 0), "{stats:?}");
    assert!(held as f64 <= 1.1 * stats.bytes as f64, "{held} for {}", stats.bytes);
}
