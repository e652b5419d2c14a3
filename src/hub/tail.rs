use std::ops::RangeInclusive;

use crate::model::Retention;

/// Places in a segment at most, between these as many as history has: a burst of a hundred events is mostly in one, and
/// so goes out as one piece, and where little is to be kept no more than a little is.
const MOST_PLACES: RangeInclusive<usize> = 64..=256;
/// The weight at which a segment is sealed, so that a slow reader pins no more than this and one event.
const SEAL_WEIGHT: usize = 64 * 1024;

/// What room a topic's newest segment has, and so which event begins the next. The default is that of no segment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tail {
    places: usize,
    free: usize,
    weight: usize,
}

impl Tail {
    /// Places in a topic's first segment; each next one has twice as many, so that a small topic stays small.
    pub(super) const FIRST_PLACES: usize = 2;
    /// The most places that a segment can have.
    pub(super) const MOST_PLACES: usize = *MOST_PLACES.end();

    /// Takes an event in. Returns how many places the new segment has that it begins; `None` if it begins none.
    pub(super) fn take(&mut self, weight: usize, retention: &Retention) -> Option<usize> {
        let whole = self.weight.saturating_add(weight);
        if self.free > 0 && whole <= SEAL_WEIGHT {
            self.free -= 1;
            self.weight = whole;
            return None;
        }
        let most = retention.count.clamp(*MOST_PLACES.start(), *MOST_PLACES.end());
        let places = if self.places == 0 { Self::FIRST_PLACES } else { most.min(self.places * 2) };
        *self = Self { places, free: places - 1, weight };
        Some(places)
    }
}
