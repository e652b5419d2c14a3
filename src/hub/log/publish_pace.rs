use std::time::Duration;

use crate::hub::log::log::LogState;

/// Over how many intervals between a topic's last events their length is averaged.
const INTERVALS: u64 = 8;

/// When a topic's last events were published, in nanoseconds of the hub's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublishPace {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// How many intervals there are between the two: 0 where they are one.
    pub(crate) intervals: u64,
}

impl PublishPace {
    /// In how long the next event is likely. One interval after the last; where that is over, in as long again as it is
    /// over: a rhythm that is a little irregular costs one more look, and who looks at a topic that fell silent looks
    /// ever more seldom.
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
    /// When the last events came, as far as they are in memory.
    pub(crate) fn rhythm(&self) -> Option<PublishPace> {
        let at = |index| Some(self.segment_at(index)?.entry_at(index)?.at);
        let last = self.next.checked_sub(1)?;
        let first = last.saturating_sub(INTERVALS).max(self.front()?.base);
        Some(PublishPace { first: at(first)?, last: at(last)?, intervals: last - first })
    }
}
