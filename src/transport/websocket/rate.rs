use std::time::{Duration, Instant};

/// Lets `rate` things a second pass, and as many at once: the generic cell rate algorithm, in one instant.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// When all that has passed would have come at an even pace.
    even: Option<Instant>,
}

impl Rate {
    /// Whether one more may pass at `now`.
    pub(super) fn admit(&mut self, now: Instant, rate: u32) -> bool {
        let Some(pace) = Duration::from_secs(1).checked_div(rate) else { return false };
        let even = self.even.map_or(now, |even| even.max(now)) + pace;
        let admitted = even.duration_since(now) <= Duration::from_secs(1);
        if admitted {
            self.even = Some(even);
        }
        admitted
    }
}
