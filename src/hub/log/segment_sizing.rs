use std::ops::RangeInclusive;

use crate::model::Retention;

/// Bounds of the largest number of places in a segment. Between them a segment has as many places as history has
/// events, so that no more events have left history with others in their segment than are in history.
const MOST_PLACES: RangeInclusive<u32> = 8..=256;
/// Lower bound while a reader is behind: most of a burst of a hundred events is in one segment, and so is delivered in
/// one piece.
const LEAST_IN_A_BURST: u32 = 64;
/// Weight at which a segment is sealed. A slow reader keeps no more than this and one event in memory.
const SEAL_WEIGHT: u32 = 64 * 1024;
/// Least weight at which a segment of a topic with a small history is sealed: about the size of the segment itself.
const LEAST_SEAL_WEIGHT: u32 = 512;

/// Room in the newest segment of a log, which decides the event that begins the next one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentSizing {
    places: u16,
    free: u16,
    weight: u32,
    /// Weight at which the segment is sealed.
    most: u32,
    /// Whether the topic has begun another segment before.
    is_later: bool,
    /// Whether a reader is behind when the next segment begins.
    pub(crate) is_behind: bool,
}

impl SegmentSizing {
    /// Largest number of places of a segment.
    pub(crate) const MOST_PLACES: usize = *MOST_PLACES.end() as usize;
    /// Sizing without a segment.
    pub(crate) const NONE: Self = Self { places: 0, free: 0, weight: 0, most: 0, is_later: false, is_behind: false };

    /// Returns whether this is the sizing of a topic's first segment, or without a segment.
    pub(crate) fn is_first(&self) -> bool {
        !self.is_later
    }

    /// Returns whether there is no segment.
    pub(crate) fn is_none(&self) -> bool {
        self.places == 0
    }

    /// Adds an event. Returns the number of places of the segment that it begins; `None` if it begins none.
    pub(crate) fn take(&mut self, weight: usize, retention: &Retention) -> Option<usize> {
        (!self.fit(weight)).then(|| self.begin(weight, retention))
    }

    /// Adds an event to the segment. Returns `false` if there is no room.
    #[inline]
    pub(crate) fn fit(&mut self, weight: usize) -> bool {
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let whole = self.weight.saturating_add(weight);
        let fits = self.free > 0 && whole <= self.most;
        if fits {
            self.free -= 1;
            self.weight = whole;
        }
        fits
    }

    /// Begins a segment with an event. Returns its number of places.
    pub(crate) fn begin(&mut self, weight: usize, retention: &Retention) -> usize {
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let [count, bytes] = [retention.count, retention.bytes].map(|most| u32::try_from(most).unwrap_or(u32::MAX));
        // Later events are expected to weigh as much as the earlier ones.
        let each = weight.max(self.weight / u32::from(self.places - self.free).max(1)).max(1);
        let (least, most) = match self.is_behind {
            true => (LEAST_IN_A_BURST, SEAL_WEIGHT),
            false if count >= LEAST_IN_A_BURST => (LEAST_IN_A_BURST, bytes.clamp(LEAST_SEAL_WEIGHT, SEAL_WEIGHT)),
            false => {
                (*MOST_PLACES.start(), bytes.min(each.saturating_mul(count)).clamp(LEAST_SEAL_WEIGHT, SEAL_WEIGHT))
            }
        };
        // The first segment of a topic has one place, since most topics have one event. Each next one has twice as many
        // as the one before, so that a small topic stays small.
        let grown = if self.places == 0 { 1 } else { u32::from(self.places).max(2) * 2 };
        let places = grown.min(count.clamp(least, *MOST_PLACES.end())).min(1 + most.saturating_sub(weight) / each);
        *self = Self {
            places: places as u16,
            free: places as u16 - 1,
            weight,
            most,
            is_later: self.places > 0,
            is_behind: self.is_behind,
        };
        places as usize
    }

    /// Makes the next event begin a segment.
    pub(crate) fn seal(&mut self) {
        self.free = 0;
    }
}
