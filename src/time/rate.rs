use std::time::{Duration, Instant};

/// Rate limiter by the generic cell rate algorithm, with a burst of one second.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    /// Theoretical arrival time: the instant at which the admitted items would end at an even pace.
    even: Option<Instant>,
}

impl Rate {
    /// Returns whether one more item is admitted at `now`, with at most `rate` items per second.
    pub(crate) fn admit(&mut self, now: Instant, rate: u32) -> bool {
        let Some(pace) = Duration::from_secs(1).checked_div(rate) else { return false };
        let even = self.even.map_or(now, |even| even.max(now)) + pace;
        let admitted = even.duration_since(now) <= Duration::from_secs(1);
        if admitted {
            self.even = Some(even);
        }
        admitted
    }
}
