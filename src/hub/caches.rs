use std::sync::Weak;

use crate::hub::segment::Segment;
use crate::hub::weak_queue::WeakQueue;

/// The segments that have something encoded, in the order in which they came to it.
#[derive(Debug, Default)]
pub(super) struct Caches {
    /// The newest of their topics, when they came here.
    hot: WeakQueue<Segment>,
    /// Sealed segments: only readers that are behind, or come back, read them.
    cold: WeakQueue<Segment>,
}

impl Caches {
    /// Adds a topic's newest segment.
    pub(super) fn add_hot(&self, segment: &Weak<Segment>) {
        self.hot.push(Weak::clone(segment));
    }

    /// Adds a sealed segment.
    pub(super) fn add_cold(&self, segment: &Weak<Segment>) {
        self.cold.push(Weak::clone(segment));
    }

    /// Empties the caches of the sealed segment that has had them for longest. False: there is none.
    pub(super) fn drop_cold(&self) -> bool {
        drop_first(&self.cold)
    }

    /// Empties the caches of the first segment that has any, sealed ones first. `false`: there is none.
    pub(super) fn drop_any(&self) -> bool {
        self.drop_cold() || drop_first(&self.hot)
    }
}

/// Empties the caches of the first segment that has any.
fn drop_first(segments: &WeakQueue<Segment>) -> bool {
    std::iter::from_fn(|| segments.pop()).any(|segment| segment.forget())
}
