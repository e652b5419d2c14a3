//! Minimum pace of a request body.

use std::time::{Duration, Instant};

/// Time without bytes after which a body is refused. Its bytes are held until then.
const SILENCE: Duration = Duration::from_secs(30);
/// Minimum bytes a second: 64 kbit/s. A body is refused when it is [`SILENCE`] behind this rate. Faster bytes make up for a
/// delay and do not count in advance, so a body of rare bytes is held no longer than one that pauses, after a burst too.
const MIN_RATE: u64 = 8 * 1024;

/// Progress of a body. A long body may take any time if it arrives steadily.
#[derive(Debug)]
pub(crate) struct Pace {
    last: Instant,
    /// Time at which the body is [`SILENCE`] behind without further bytes. At most `last` and [`SILENCE`].
    credit_until: Instant,
}

impl Pace {
    /// Begins to wait for a body.
    pub(crate) fn begin(now: Instant) -> Self {
        Self { last: now, credit_until: now + SILENCE }
    }

    /// Counts received bytes.
    pub(crate) fn received(&mut self, bytes: usize, now: Instant) {
        let credit = Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000) / MIN_RATE);
        self.last = now;
        self.credit_until = (self.credit_until.max(now) + credit).min(now + SILENCE);
    }

    /// Returns the end of the wait for further bytes.
    pub(crate) fn deadline(&self) -> Instant {
        self.credit_until
    }

    /// Returns the reason to refuse a body at its deadline.
    pub(crate) fn fault(&self) -> String {
        match self.credit_until == self.last + SILENCE {
            true => format!("body: nothing came for {} s", SILENCE.as_secs()),
            false => format!("body: it came slower than {} KiB a second", MIN_RATE / 1024),
        }
    }
}
