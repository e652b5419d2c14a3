//! Prints heap bytes per waiting subscription, per topic and per idle connection: the allocated bytes of a thousand,
//! divided
//! by a thousand. `cargo bench --features full --bench memory`.

#[allow(dead_code, reason = "the other benches use the rest")]
mod scenarios;

use std::alloc::System;
use std::task::{Context, Waker};
use std::time::Duration;

use scenarios::mounted;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tidings::{Event, LocalHub, Retention, Subscribe, Subscriber, Subscription, Topic};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MANY: usize = 1_000;

fn main() {
    println!("{:>8}  bytes of heap per", "");
    let (parked_one, handle) = (parked(1), size_of::<Subscription>() as f64);
    report("parked subscription of one topic", parked_one);
    report(&format!("the same beyond its handle, which has {handle}"), parked_one - handle);
    report("parked subscription of ten topics", parked(10));
    report("parked subscription of a pattern that 10,000 topics match", parked_by_pattern());
    for (name, topics, events, event) in [
        ("topic with one small event", MANY, 1, small as fn(usize) -> Event),
        ("topic with ten small events", MANY, 10, small),
        ("small event of a thousand", 1, MANY, small),
        ("event of 1 KiB, of a thousand", 1, MANY, large),
        ("event with a name and a key, of a thousand", 1, MANY, labelled),
    ] {
        let (held, counted) = budgeted(topics, events, event);
        report(&format!("{name}, for which the budget counts {counted:.0}"), held);
    }
    let (held, counted) = cached();
    report(&format!("small event encoded, for which the budget counts {counted:.0}"), held);
    report("topic whose history has expired", expired());
    let (held, counted) = flooded();
    println!("{held:>8.2}  of a spent byte budget of 64 MiB, by topics of one byte; counted: {counted:.2}");
    report("topic with no event and one subscription, beyond the subscription", empty_topics());
    for (name, request) in [
        ("long poll", mounted::LONG_POLL),
        ("chunked stream", mounted::CHUNKED),
        ("SSE", mounted::SSE),
        ("WebSocket", mounted::WEBSOCKET),
    ] {
        let (held, hyper) = mounted::idle_heap(request, heap);
        report(&format!("idle {name} connection, of which hyper's {hyper:.0}"), held);
    }
}

fn report(what: &str, bytes: f64) {
    println!("{bytes:>8.0}  {what}");
}

/// Returns the bytes that are allocated and not freed.
fn heap() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Returns the bytes of a subscription that was woken and waits again, with its handle in a `Vec`.
fn parked(topics: usize) -> f64 {
    let hub = LocalHub::new();
    let topics: Vec<_> = (0..topics).map(|n| Topic::new(format!("bench/{n}")).expect("valid")).collect();
    let region = Region::new(ALLOCATOR);
    let mut subscriptions = Vec::with_capacity(MANY);
    subscriptions.extend((0..MANY).map(|_| hub.subscribe(Subscribe::topics(&topics)).expect("open")));
    park(&mut subscriptions);
    for topic in &topics {
        hub.publish_now(topic, "event").expect("open");
        park(&mut subscriptions);
    }
    per(&region)
}

/// Returns the bytes of a waiting subscription of one pattern, after each of its topics had an event.
fn parked_by_pattern() -> f64 {
    let hub = LocalHub::new();
    let topics: Vec<_> = (0..10_000).map(|n| Topic::new(format!("bench/{n}")).expect("valid")).collect();
    let publish = || {
        for topic in &topics {
            hub.publish_now(topic, "event").expect("open");
        }
    };
    publish();
    // The first one creates the pattern's log.
    let mut first = [hub.subscribe(Subscribe::patterns(["bench/*"])).expect("open")];
    publish();
    park(&mut first);
    let region = Region::new(ALLOCATOR);
    let mut subscriptions = Vec::with_capacity(MANY);
    subscriptions.extend((0..MANY).map(|_| hub.subscribe(Subscribe::patterns(["bench/*"])).expect("open")));
    park(&mut subscriptions);
    let held = per(&region);
    topics.iter().step_by(100).for_each(|topic| {
        hub.publish_now(topic, "event").expect("open");
        park(&mut subscriptions);
    });
    held.max(per(&region))
}

fn park(subscriptions: &mut [Subscription]) {
    for subscription in subscriptions {
        while subscription.poll_next(&mut Context::from_waker(Waker::noop())).is_ready() {}
    }
}

fn small(_: usize) -> Event {
    Event::text("a small event")
}

fn large(_: usize) -> Event {
    Event::text("x".repeat(1024))
}

fn labelled(n: usize) -> Event {
    Event::text("42.17").with_name("price").and_then(|event| event.with_key(&format!("ticker/{n:04}"))).expect("valid")
}

/// Returns the bytes allocated, and the bytes that the hub's budget counts, for each of a thousand topics with one event,
/// or for each of a thousand events.
fn budgeted(topics: usize, events: usize, event: fn(usize) -> Event) -> (f64, f64) {
    let hub = LocalHub::new();
    let region = Region::new(ALLOCATOR);
    for topic in 0..topics {
        let topic = Topic::new(format!("bench/{topic:04}")).expect("valid");
        for n in 0..events {
            hub.publish_now(&topic, event(n)).expect("open");
        }
    }
    (per(&region), hub.stats().bytes as f64 / MANY as f64)
}

/// Returns the bytes of a thousand topics of one event each after their events expired: their tombstones.
fn expired() -> f64 {
    let hub = LocalHub::builder().retain(Retention::default().age(Duration::ZERO)).build();
    let region = Region::new(ALLOCATOR);
    for topic in 0..MANY {
        let topic = Topic::new(format!("bench/{topic:04}")).expect("valid");
        hub.publish_now(&topic, "a small event").expect("open");
    }
    hub.sweep();
    assert_eq!((hub.stats().topics, hub.stats().bytes), (0, 0));
    per(&region)
}

/// Prints the heap of a hub that is flooded with tiny topics, and the bytes that its budget counts, relative to the
/// budget.
fn flooded() -> (f64, f64) {
    const LIMIT: usize = 64 << 20;
    let hub = LocalHub::builder().max_bytes(LIMIT).build();
    let before = heap();
    for topic in 0..300_000 {
        hub.publish_now(Topic::new(format!("flood/{topic}")).expect("valid"), "x").expect("open");
    }
    ((heap() - before) as f64 / LIMIT as f64, hub.stats().bytes as f64 / LIMIT as f64)
}

/// Reads a thousand events in encoded form.
fn cached() -> (f64, f64) {
    let hub = LocalHub::new();
    let topic = Topic::new("bench").expect("valid");
    let mut subscription = hub.subscribe(Subscribe::topics([&topic])).expect("open");
    for n in 0..MANY {
        hub.publish_now(&topic, small(n)).expect("open");
    }
    let region = Region::new(ALLOCATOR);
    let mut cx = Context::from_waker(Waker::noop());
    while subscription.poll_encoded(&mut cx, &scenarios::hub::Plain, 1 << 16).is_ready() {}
    (per(&region), hub.stats().cached_bytes as f64 / MANY as f64)
}

fn empty_topics() -> f64 {
    let hub = LocalHub::new();
    let topics: Vec<_> = (0..MANY).map(|n| Topic::new(format!("bench/{n:04}")).expect("valid")).collect();
    let region = Region::new(ALLOCATOR);
    let subscriptions: Vec<_> =
        topics.iter().map(|topic| hub.subscribe(Subscribe::topics([topic])).expect("open")).collect();
    let held = per(&region) - size_of::<Subscription>() as f64;
    drop(subscriptions);
    held
}

fn per(region: &Region<'_, System>) -> f64 {
    let change = region.change();
    (change.bytes_allocated as f64 - change.bytes_deallocated as f64) / MANY as f64
}
