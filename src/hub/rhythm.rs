use std::time::Duration;

/// Over how many intervals between a topic's last events their length is averaged.
pub(super) const INTERVALS: u64 = 8;

/// When a topic's last events were published, in nanoseconds of the hub's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rhythm {
    pub(super) first: u64,
    pub(super) last: u64,
    /// How many intervals there are between the two: 0 where they are one.
    pub(super) intervals: u64,
}

impl Rhythm {
    /// Returns the time in which the next event is likely: one interval after the last event. If that is over, the time
    /// since then: a rhythm that is a little irregular costs one more look, and looks at a topic that fell silent
    /// become ever rarer.
    pub(super) fn next_in(self, now: u64) -> Duration {
        let interval = self.last.saturating_sub(self.first) / self.intervals.max(1);
        let due = self.last.saturating_add(interval);
        let wait = match due.checked_sub(now) {
            Some(early) if early > 0 => early,
            _ => (now - due).max(interval / 4),
        };
        Duration::from_nanos(wait)
    }
}
