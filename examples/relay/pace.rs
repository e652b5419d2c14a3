//! How slowly a body may come in.

use std::time::{Duration, Instant};

/// A body that pauses this long is refused. Its bytes are held until then.
const SILENCE: Duration = Duration::from_secs(30);
/// Bytes a second: 64 kbit/s. A body is refused when it is [`SILENCE`] behind this rate. Faster bytes make up for a delay and
/// do not count in advance, so a body of a byte now and then is held no longer than one that pauses, after a burst too.
const LEAST_RATE: u64 = 8 * 1024;

/// Progress of a body. A long body may take long if it comes steadily.
#[derive(Debug)]
pub(crate) struct Pace {
    last: Instant,
    /// When it will be [`SILENCE`] behind, if no more comes. At most `last` and [`SILENCE`].
    credit_until: Instant,
}

impl Pace {
    /// Begins to wait for a body.
    pub(crate) fn begin(now: Instant) -> Self {
        Self { last: now, credit_until: now + SILENCE }
    }

    /// Notes that so many bytes have come.
    pub(crate) fn received(&mut self, bytes: usize, now: Instant) {
        let credit = Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000) / LEAST_RATE);
        self.last = now;
        self.credit_until = (self.credit_until.max(now) + credit).min(now + SILENCE);
    }

    /// Returns when the wait ends if no more comes.
    pub(crate) fn deadline(&self) -> Instant {
        self.credit_until
    }

    /// Returns what is wrong with a body at its deadline.
    pub(crate) fn fault(&self) -> String {
        match self.credit_until == self.last + SILENCE {
            true => format!("body: nothing came for {} s", SILENCE.as_secs()),
            false => format!("body: it came slower than {} KiB a second", LEAST_RATE / 1024),
        }
    }
}
