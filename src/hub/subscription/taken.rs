use crate::hub::log::segment::Segment;
use crate::hub::sync::Count;

/// Events that were taken from a slice, and the position of the reader after them.
#[derive(Debug)]
pub(crate) struct Taken<E> {
    pub(crate) events: E,
    /// Number of the events.
    pub(crate) count: u32,
    /// Sequence of the last event.
    pub(crate) sequence: u64,
    /// Set if the slice was filtered.
    pub(crate) filtered: Option<Filtered>,
}

/// Result of the filter of a slice.
#[derive(Debug)]
pub(crate) struct Filtered {
    /// Dense index after the last event that was taken.
    pub(crate) next: u64,
    /// Events before it that were left out because they had expired or were replaced. The others that are not in the events
    /// were left out by the subscription's predicate.
    pub(crate) left_out: LeftOut,
}

/// Number of events that were left out, by reason. An event that is both expired and replaced counts as expired.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LeftOut {
    pub(crate) expired: u32,
    pub(crate) conflated: u32,
}

impl<E> Taken<E> {
    /// Returns events that were filtered out of a segment, the last of which is in the place before `end`.
    pub(crate) fn filtered(events: E, segment: &Segment, count: u32, end: u32, left_out: LeftOut) -> Self {
        let filtered = Some(Filtered { next: segment.base + u64::from(end), left_out });
        Self { events, count, sequence: segment.sequence(end.saturating_sub(1)), filtered }
    }

    /// Returns the same position with other events.
    #[inline(always)]
    pub(crate) fn map<F>(self, map: impl FnOnce(E) -> F) -> Taken<F> {
        let Self { events, count, sequence, filtered } = self;
        Taken { events: map(events), count, sequence, filtered }
    }
}

impl LeftOut {
    /// Returns the counts of these numbers of expired and of replaced events.
    pub(crate) fn new(expired: u64, conflated: u64) -> Self {
        let [expired, conflated] = [expired, conflated].map(|events| u32::try_from(events).unwrap_or(u32::MAX));
        Self { expired, conflated }
    }

    /// Adds the numbers to the counts of a hub.
    pub(crate) fn count(self, expired: &Count, conflated: &Count) {
        if self.expired > 0 {
            expired.add(self.expired.into());
        }
        if self.conflated > 0 {
            conflated.add(self.conflated.into());
        }
    }
}
