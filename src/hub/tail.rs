use std::ops::RangeInclusive;

use crate::model::Retention;

/// Places in a segment at most, between these as many as history has: so what has left history with others in its segment
/// is no more than what is in history.
const MOST_PLACES: RangeInclusive<u32> = 8..=256;
/// The least of these while a reader is behind: a burst of a hundred events is mostly in one segment, and so goes out as
/// one piece.
const LEAST_IN_A_BURST: u32 = 64;
/// The weight at which a segment is sealed, so that a slow reader pins no more than this and one event.
const SEAL_WEIGHT: u32 = 64 * 1024;
/// The least weight at which one is sealed of a topic that keeps little: about what the segment itself takes.
const LEAST_SEAL_WEIGHT: u32 = 512;

/// Room of a topic's newest segment, which decides the event that begins the next one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail {
    places: u16,
    free: u16,
    weight: u32,
    /// The weight at which the segment is sealed.
    most: u32,
    /// Whether the topic has begun another segment before.
    is_later: bool,
    /// Whether a reader is behind when the next segment begins.
    pub(super) is_behind: bool,
}

impl Tail {
    /// The most places that a segment can have.
    pub(super) const MOST_PLACES: usize = *MOST_PLACES.end() as usize;
    /// That of no segment.
    pub(super) const NONE: Self = Self { places: 0, free: 0, weight: 0, most: 0, is_later: false, is_behind: false };

    /// Returns whether it is that of a topic's first segment, or of none.
    pub(super) fn is_first(&self) -> bool {
        !self.is_later
    }

    /// Returns whether it is that of no segment.
    pub(super) fn is_none(&self) -> bool {
        self.places == 0
    }

    /// Takes an event in. Returns how many places the new segment has that it begins; `None` if it begins none.
    pub(super) fn take(&mut self, weight: usize, retention: &Retention) -> Option<usize> {
        (!self.fit(weight)).then(|| self.begin(weight, retention))
    }

    /// Takes an event into the segment, if there is room.
    #[inline]
    pub(super) fn fit(&mut self, weight: usize) -> bool {
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let whole = self.weight.saturating_add(weight);
        let fits = self.free > 0 && whole <= self.most;
        if fits {
            self.free -= 1;
            self.weight = whole;
        }
        fits
    }

    /// Begins a segment with an event. Returns how many places it has.
    pub(super) fn begin(&mut self, weight: usize, retention: &Retention) -> usize {
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let [count, bytes] = [retention.count, retention.bytes].map(|most| u32::try_from(most).unwrap_or(u32::MAX));
        // The events to come weigh about as much as those before.
        let each = weight.max(self.weight / u32::from(self.places - self.free).max(1)).max(1);
        let (least, most) = match self.is_behind {
            true => (LEAST_IN_A_BURST, SEAL_WEIGHT),
            false if count >= LEAST_IN_A_BURST => (LEAST_IN_A_BURST, bytes.clamp(LEAST_SEAL_WEIGHT, SEAL_WEIGHT)),
            false => {
                (*MOST_PLACES.start(), bytes.min(each.saturating_mul(count)).clamp(LEAST_SEAL_WEIGHT, SEAL_WEIGHT))
            }
        };
        // A topic's first has one place, for of many topics most have one event; then each has twice as many as the one
        // before, so that a small topic stays small.
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
    pub(super) fn seal(&mut self) {
        self.free = 0;
    }
}
