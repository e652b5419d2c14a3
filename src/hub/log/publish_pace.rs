use std::time::Duration;

use crate::hub::log::log::LogState;

/// Number of intervals between the last events over which their length is averaged.
const INTERVALS: u64 = 8;

/// Times of a topic's last events, in nanoseconds of the hub's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublishPace {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Number of intervals between the two; 0 if they are one event.
    pub(crate) intervals: u64,
}

impl PublishPace {
    /// Returns the time until the next event is likely: one interval after the last event. If that time is over, it is
    /// as long again as it is overdue. A somewhat irregular topic costs one more poll, and a topic that has fallen
    /// silent is polled less and less often.
    pub(crate) fn next_in(self, now: u64) -> Duration {
        let interval = self.last.saturating_sub(self.first) / self.intervals.max(1);
        let due = self.last.saturating_add(interval);
        let wait = match due.checked_sub(now) {
            Some(early) if early > 0 => early,
            _ => (now - due).max(interval / 4),
        };
        Duration::from_nanos(wait)
    }
}

impl LogState {
    /// Returns the times of the last events, as far as they are in memory.
    pub(crate) fn publish_pace(&self) -> Option<PublishPace> {
        let at = |index| Some(self.segment_at(index)?.entry_at(index)?.at);
        let last = self.next.checked_sub(1)?;
        let first = last.saturating_sub(INTERVALS).max(self.front()?.base);
        Some(PublishPace { first: at(first)?, last: at(last)?, intervals: last - first })
    }
}
