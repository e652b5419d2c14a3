use std::time::Duration;

use crate::hub::log::State;

/// Over how many intervals between a topic's last events their length is averaged.
const INTERVALS: u64 = 8;

/// When a topic's last events were published, in nanoseconds of the hub's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rhythm {
    pub(super) first: u64,
    pub(super) last: u64,
    /// How many intervals there are between the two: 0 where they are one.
    pub(super) intervals: u64,
}

impl Rhythm {
    /// In how long the next event is likely. One interval after the last; where that is over, in as long again as it is
    /// over: a rhythm that is a little irregular costs one more look, and who looks at a topic that fell silent looks
    /// ever more seldom.
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

impl State {
    /// When the last events came, as far as they are in memory.
    pub(super) fn rhythm(&self) -> Option<Rhythm> {
        let at = |index| Some(self.segment_at(index)?.entry_at(index)?.at);
        let last = self.next.checked_sub(1)?;
        let first = last.saturating_sub(INTERVALS).max(self.front()?.base);
        Some(Rhythm { first: at(first)?, last: at(last)?, intervals: last - first })
    }
}
