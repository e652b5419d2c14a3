use std::ops::Range;

use crate::hub::segment::Segment;
use crate::hub::sync::Count;

/// Which events a reader leaves out: those whose time is up, and for one that conflates those that newer ones replace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sieve {
    /// The time by which events expire.
    pub(super) now: u64,
    /// Whether replaced events are left out, too.
    pub(super) conflates: bool,
}

/// How many events were left out, and why. One that is both expired and replaced has expired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) expired: u32,
    pub(super) conflated: u32,
}

impl Sieve {
    /// The first run of events to deliver in a range of written places; where there is none, the empty range at its
    /// end. Counts what is left out before it.
    pub(super) fn next(&self, segment: &Segment, range: Range<u32>, left_out: &mut LeftOut) -> Range<u32> {
        let mut start = range.start;
        while start < range.end {
            if segment.is_expired(start, self.now) {
                left_out.expired += 1;
            } else if self.replaced(segment, start) {
                left_out.conflated += 1;
            } else {
                break;
            }
            start += 1;
        }
        let is_out = |&place: &u32| segment.is_expired(place, self.now) || self.replaced(segment, place);
        start..(start..range.end).find(is_out).unwrap_or(range.end)
    }

    fn replaced(&self, segment: &Segment, place: u32) -> bool {
        self.conflates && segment.is_replaced(place)
    }
}

impl LeftOut {
    /// Adds to a hub's counts.
    pub(super) fn count(self, expired: &Count, conflated: &Count) {
        if self != Self::default() {
            expired.add(self.expired.into());
            conflated.add(self.conflated.into());
        }
    }
}
