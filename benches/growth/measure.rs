//! Times and bytes.

use std::hint::black_box;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use tidings::{Event, LocalHub, Subscriber, Subscription, Topic};

/// Number of batches of which the median is taken.
const BATCHES: usize = 51;

/// Returns the bytes that are allocated and not freed.
pub(crate) fn heap() -> f64 {
    let stats = super::ALLOCATOR.stats();
    stats.bytes_allocated as f64 - stats.bytes_deallocated as f64
}

/// Returns the nanoseconds of one call: the median of 51 batches of `calls`. A batch is short, so that most are not
/// interrupted by other processes.
pub(crate) fn nanos_each(calls: usize, mut call: impl FnMut()) -> f64 {
    let batch = |_| {
        let begun = Instant::now();
        (0..calls).for_each(|_| call());
        begun.elapsed().as_nanos() as f64 / calls as f64
    };
    median((0..BATCHES).map(batch).collect())
}

/// Returns the nanoseconds of one call.
pub(crate) fn nanos(call: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    call();
    begun.elapsed().as_nanos() as f64
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Keeps the processor busy for this time.
pub(crate) fn spin(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        (0..1_000).for_each(|n| {
            black_box(n);
        });
    }
}

/// Publishes an event.
pub(crate) fn publish(hub: &LocalHub, topic: &Topic, event: Event) {
    hub.publish_now(topic, event).expect("open");
}

/// Reads everything that is ready, and registers for more. Returns the number of deliveries.
pub(crate) fn read(subscription: &mut Subscription) -> usize {
    let mut cx = Context::from_waker(Waker::noop());
    std::iter::from_fn(|| Some(subscription.poll_next(&mut cx)).filter(std::task::Poll::is_ready)).count()
}

pub(crate) fn topic(name: impl AsRef<str>) -> Topic {
    Topic::new(name).expect("valid")
}

/// Returns an event of 16 bytes with an allocation of its own.
pub(crate) fn small() -> Event {
    Event::text("sixteen bytes...")
}
