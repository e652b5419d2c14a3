use std::ops::RangeInclusive;

use crate::model::Retention;

/// Places in a segment at most, between these as many as history has: a burst of a hundred events is mostly in one, and
/// so goes out as one piece, and where little is to be kept no more than a little is.
const MOST_PLACES: RangeInclusive<u16> = 64..=256;
/// The weight at which a segment is sealed, so that a slow reader pins no more than this and one event.
const SEAL_WEIGHT: u32 = 64 * 1024;

/// What room a topic's newest segment has, and so which event begins the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail {
    places: u16,
    free: u16,
    weight: u32,
}

impl Tail {
    /// Places in a topic's first segment at most. Where little history is kept it has these, for those who read along have
    /// what is in the newest segment; else it has one, for of many topics most have one event.
    pub(super) const FIRST_PLACES: usize = 2;
    /// Places in the second; each next one has twice as many, so that a small topic stays small.
    const SECOND_PLACES: u16 = 4;
    /// The most places that a segment can have.
    pub(super) const MOST_PLACES: usize = *MOST_PLACES.end() as usize;
    /// That of no segment.
    pub(super) const NONE: Self = Self { places: 0, free: 0, weight: 0 };

    /// Returns whether it is that of a topic's first segment.
    pub(super) fn is_first(&self) -> bool {
        usize::from(self.places) <= Self::FIRST_PLACES
    }

    /// Takes an event in. Returns how many places the new segment has that it begins; `None` if it begins none.
    pub(super) fn take(&mut self, weight: usize, retention: &Retention) -> Option<usize> {
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let whole = self.weight.saturating_add(weight);
        if self.free > 0 && whole <= SEAL_WEIGHT {
            self.free -= 1;
            self.weight = whole;
            return None;
        }
        let most = u16::try_from(retention.count).unwrap_or(u16::MAX).clamp(*MOST_PLACES.start(), *MOST_PLACES.end());
        let places = match usize::from(self.places) {
            0 if retention.count < usize::from(*MOST_PLACES.start()) => Self::FIRST_PLACES as u16,
            0 => 1,
            1..=Self::FIRST_PLACES => Self::SECOND_PLACES,
            _ => most.min(self.places * 2),
        };
        *self = Self { places, free: places - 1, weight };
        Some(places.into())
    }
}
