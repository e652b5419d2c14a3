use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::contract::{Sleep, Timer};

/// The longest silence unless told otherwise: a quarter of the 60 s after which nginx and load balancers give up.
const INTERVAL: Duration = Duration::from_secs(15);

/// Sees to it that silence is never longer than an interval.
///
/// It fires twice in an interval, and a keep-alive is due when nothing was written since the last firing. So a delivery
/// costs a `bool`: no look at the clock, no reset of the timer.
pub(crate) struct KeepAlive {
    sleep: Pin<Box<dyn Sleep>>,
    begin: Instant,
    interval: Duration,
    /// The next firing. `None`: the clock has no such instant, so never.
    fires: Option<Instant>,
    written: bool,
}

impl KeepAlive {
    /// The default interval, from now on.
    pub(crate) fn new(timer: &dyn Timer) -> Self {
        let begin = timer.now();
        let fires = begin + INTERVAL / 2;
        Self { sleep: timer.sleep_until(fires), begin, interval: INTERVAL, fires: Some(fires), written: false }
    }

    /// Another interval, counted from the beginning. Less than 2 ms is 2 ms.
    pub(crate) fn set_interval(&mut self, interval: Duration) {
        self.interval = interval.max(Duration::from_millis(2));
        self.fire_after(self.begin);
    }

    /// The longest silence; `None` where there is no limit.
    pub(crate) fn interval(&self) -> Option<Duration> {
        self.fires.map(|_| self.interval)
    }

    /// Something goes out.
    pub(crate) fn wrote(&mut self) {
        self.written = true;
    }

    /// Ready when a keep-alive is due, which then counts as written.
    pub(crate) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut due = false;
        // Firings that were slept through are caught up with, and bring one keep-alive.
        while let Some(fired) = self.fires {
            if self.sleep.as_mut().poll(cx).is_pending() {
                break;
            }
            due |= !self.written;
            self.written = false;
            self.fire_after(fired);
        }
        if due {
            self.written = true;
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn fire_after(&mut self, instant: Instant) {
        self.fires = instant.checked_add(self.interval / 2);
        if let Some(fires) = self.fires {
            self.sleep.as_mut().reset(fires);
        }
    }
}
