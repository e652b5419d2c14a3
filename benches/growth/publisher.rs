//! Another publisher beside a large operation.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tidings::LocalHub;

use super::measure::{median, publish, small, topic};

/// Time of an operation, and the longest publish of another thread to its own topics meanwhile, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beside {
    pub(crate) time: f64,
    pub(crate) worst: f64,
}

impl Beside {
    /// Measures an operation this many times. The time is the median. The longest publish is that of the round with the
    /// shortest one, since other processes lengthen it in some rounds.
    pub(crate) fn of(hub: &LocalHub, rounds: usize, mut operation: impl FnMut()) -> Self {
        Self::least((0..rounds).map(|_| Self::once(hub, &mut operation)).collect())
    }

    /// Returns the result of several rounds.
    pub(crate) fn least(rounds: Vec<Self>) -> Self {
        let worst = rounds.iter().map(|round| round.worst).min_by(f64::total_cmp).unwrap_or(f64::NAN);
        Self { time: median(rounds.into_iter().map(|round| round.time).collect()), worst }
    }

    /// Measures an operation once.
    pub(crate) fn once(hub: &LocalHub, operation: impl FnOnce()) -> Self {
        let (measures, ends, published) = (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            let publisher = scope.spawn(|| run(hub, &measures, &ends, &published));
            // The publisher runs before the operation begins, and a publish that waits for it counts.
            let see = |publishes: usize| {
                let enough = published.load(Ordering::Relaxed) + publishes;
                while published.load(Ordering::Relaxed) < enough {
                    thread::yield_now();
                }
            };
            see(1_000);
            measures.store(true, Ordering::Relaxed);
            see(1);
            let begun = Instant::now();
            operation();
            let time = begun.elapsed();
            see(1);
            measures.store(false, Ordering::Relaxed);
            ends.store(true, Ordering::Relaxed);
            let worst = publisher.join().expect("no panic");
            Self { time: time.as_nanos() as f64, worst: worst.as_nanos() as f64 }
        })
    }
}

/// Publishes to one topic repeatedly, and every 64th time to a new one. Returns the longest publish that overlaps the
/// measured time.
fn run(hub: &LocalHub, measures: &AtomicBool, ends: &AtomicBool, published: &AtomicUsize) -> Duration {
    let (old, mut worst) = (topic("beside/old"), Duration::ZERO);
    while !ends.load(Ordering::Relaxed) {
        let new = published.load(Ordering::Relaxed) % 64 == 63;
        let new = new.then(|| topic(format!("beside/{}", BEGUN.fetch_add(1, Ordering::Relaxed))));
        let (measured, begun) = (measures.load(Ordering::Relaxed), Instant::now());
        publish(hub, new.as_ref().unwrap_or(&old), small());
        let time = begun.elapsed();
        published.fetch_add(1, Ordering::Relaxed);
        if measured || measures.load(Ordering::Relaxed) {
            worst = worst.max(time);
        }
    }
    worst
}

/// Number of topics that this publisher created.
static BEGUN: AtomicUsize = AtomicUsize::new(0);

/// Returns the number of topics that were created beside operations until now.
pub(crate) fn begun() -> usize {
    BEGUN.load(Ordering::Relaxed)
}
