//! Runs, each with one reader: from the item of the stream to the encoded bytes. No executor, no-op wakers, one thread.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use futures_core::Stream;
use tidings::runs::Runs;
use tidings::subscriber::EncodedDelivery;
use tidings::time::{Clock, Sleep, Timer};
use tidings::{LocalHub, Start, Subscriber};

use super::hub::Plain;

/// Runs that are live at a time.
const RUNS: usize = 100;
/// Tokens of a run.
const TOKENS: usize = 200;
const TOKEN: &str = "token ";

/// Each round, a hundred runs of 200 tokens start, publish them in bursts, end, and are forgotten. Their readers read after
/// each burst. Returns the number of tokens that were read.
pub(crate) fn run(burst: usize, rounds: usize) -> usize {
    let still = Still(Instant::now());
    let hub = LocalHub::builder().clock(still).build();
    let runs = Runs::builder(&hub).timer(still).linger(std::time::Duration::ZERO).build();
    let cx = &mut Context::from_waker(Waker::noop());
    let mut bytes = 0;
    for round in 0..rounds {
        let mut live: Vec<_> = (0..RUNS)
            .map(|n| {
                let tokens = || Tokens { left: TOKENS, ready: burst, burst };
                let (run, task) = runs.start_unspawned(format!("runs/{round}/{n}"), tokens).expect("room");
                (task, run.subscribe_from(Start::Oldest).expect("open"))
            })
            .collect();
        // A task takes at most 64 tokens at once. The last poll ends the runs.
        for _ in 0..=TOKENS / burst * burst.div_ceil(64) {
            for (task, reader) in &mut live {
                let _live = Pin::new(task).poll(cx);
                while let Poll::Ready(EncodedDelivery::Events(events)) = reader.poll_encoded(cx, &Plain, 64 * 1024) {
                    bytes += black_box(events).bytes.len();
                }
            }
        }
        assert!(runs.list().is_empty(), "every run has ended");
    }
    bytes / (TOKEN.len() + 1)
}

/// Stream that has a burst of tokens ready at each poll of its task.
struct Tokens {
    left: usize,
    ready: usize,
    burst: usize,
}

impl Stream for Tokens {
    type Item = Result<String, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        if self.ready == 0 {
            self.ready = self.burst;
            return Poll::Pending;
        }
        self.ready -= 1;
        self.left -= 1;
        Poll::Ready(Some(Ok(TOKEN.to_owned())))
    }
}

/// Timer whose time does not pass.
#[derive(Clone, Copy)]
struct Still(Instant);

impl Clock for Still {
    fn now(&self) -> Instant {
        self.0
    }
}

impl Timer for Still {
    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(StillSleep { now: self.0, at })
    }
}

struct StillSleep {
    now: Instant,
    at: Instant,
}

impl Future for StillSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.at <= self.now { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Sleep for StillSleep {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.at = at;
    }
}
