use std::fmt;
use std::sync::Weak;

use crate::hub::budget::weak_queue::WeakQueue;

/// Segment with caches of encoded events.
pub(crate) trait Cached: fmt::Debug + Send + Sync {
    /// Empties the caches. Returns `false` if they were empty.
    fn clear_caches(&self) -> bool;
}

/// Segments with encoded events in their caches, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct CacheQueue {
    /// Segments that were the newest of their topics when they were added.
    hot: WeakQueue<dyn Cached>,
    /// Sealed segments, which only readers that are behind or resume read.
    cold: WeakQueue<dyn Cached>,
}

impl CacheQueue {
    /// Adds the newest segment of a topic.
    pub(crate) fn add_hot(&self, segment: Weak<dyn Cached>) {
        self.hot.push(segment);
    }

    /// Adds a sealed segment.
    pub(crate) fn add_cold(&self, segment: Weak<dyn Cached>) {
        self.cold.push(segment);
    }

    /// Empties the caches of the first sealed segment that has any. Returns `false` if there is none.
    pub(crate) fn drop_cold(&self) -> bool {
        drop_first(&self.cold)
    }

    /// Empties the caches of the first segment that has any, sealed ones first. Returns `false` if there is none.
    pub(crate) fn drop_any(&self) -> bool {
        self.drop_cold() || drop_first(&self.hot)
    }
}

/// Empties the caches of the first segment that has any.
fn drop_first(segments: &WeakQueue<dyn Cached>) -> bool {
    std::iter::from_fn(|| segments.pop()).any(|segment| segment.clear_caches())
}
