//! How slowly a body may come in.

use std::time::{Duration, Instant};

/// A body of which nothing comes for so long is not meant to come: what has come of it is held until then.
const SILENCE: Duration = Duration::from_secs(30);
/// The least number of bytes a second, after the first [`SILENCE`]: 64 kbit/s. A body of a byte now and then is held no
/// longer than one of which nothing comes.
const LEAST_RATE: u64 = 8 * 1024;

/// Progress of a body. A long body may take long, as long as it comes.
#[derive(Debug)]
pub(crate) struct Pace {
    began: Instant,
    last: Instant,
    bytes: u64,
}

impl Pace {
    /// Begins to wait for a body.
    pub(crate) fn begin(now: Instant) -> Self {
        Self { began: now, last: now, bytes: 0 }
    }

    /// Notes that so many bytes have come.
    pub(crate) fn received(&mut self, bytes: usize, now: Instant) {
        self.last = now;
        self.bytes += bytes as u64;
    }

    /// Returns when the wait ends if no more comes.
    pub(crate) fn deadline(&self) -> Instant {
        self.silent().min(self.too_slow())
    }

    /// Returns what is wrong with a body at its deadline.
    pub(crate) fn fault(&self) -> String {
        match self.silent() <= self.too_slow() {
            true => format!("body: nothing came for {} s", SILENCE.as_secs()),
            false => format!("body: it came slower than {} KiB a second", LEAST_RATE / 1024),
        }
    }

    fn silent(&self) -> Instant {
        self.last + SILENCE
    }

    fn too_slow(&self) -> Instant {
        self.began + SILENCE + Duration::from_millis(self.bytes.saturating_mul(1000) / LEAST_RATE)
    }
}
