use std::mem::take;
use std::sync::{Arc, Weak};

use crate::hub::budget::budget::Budget;
use crate::hub::budget::cache_queue::Cached;
use crate::hub::log::segment::{FreedSegment, Segment};
use crate::hub::sync::Leaf;

/// Fill segments that all subscriptions which begin share, so that each event of the state is encoded once.
///
/// The chain is the state as of a watermark. It is built from the state step by step, by the readers that come to its end: a
/// key that changes meanwhile is in the chain with its earlier event, or not at all. Its readers read all changes after the
/// watermark later, so both are right.
#[derive(Debug)]
pub(crate) struct StateChain {
    /// Sequence up to which the chain is the state.
    pub(crate) watermark: u64,
    /// Index of the log's next event after the watermark.
    pub(crate) index: u64,
    /// Number of keys at that time.
    pub(crate) keys: usize,
    /// Number of changes of the state at that time.
    pub(crate) changes: u64,
    built: Leaf<Built>,
}

#[derive(Debug, Default)]
struct Built {
    segments: Vec<Arc<Segment>>,
    /// Sequence up to which the chain is built.
    end: u64,
    /// Whether the segments were dropped to make room.
    is_cleared: bool,
}

impl StateChain {
    /// Returns a chain without segments, which the budget may drop.
    pub(crate) fn new(watermark: u64, index: u64, keys: usize, changes: u64, budget: &Budget) -> Arc<Self> {
        let this = Arc::new(Self { watermark, index, keys, changes, built: Leaf::default() });
        let weak: Weak<Self> = Arc::downgrade(&this);
        budget.caches.add_cold(weak);
        this
    }

    /// Returns whether the segments were dropped.
    pub(crate) fn is_cleared(&self) -> bool {
        self.built.lock().is_cleared
    }

    /// Returns the sequence up to which the chain is built.
    pub(crate) fn end(&self) -> u64 {
        self.built.lock().end
    }

    /// Returns the segment with the first event after a sequence, and the place of the event.
    pub(crate) fn after(&self, sequence: u64) -> Option<(Arc<Segment>, u32)> {
        let built = self.built.lock();
        let is_before = |segment: &Arc<Segment>| segment.sequence(segment.len() - 1) <= sequence;
        let segment = built.segments.get(built.segments.partition_point(is_before))?;
        Some((Arc::clone(segment), segment.place_after(sequence, 0..segment.len())))
    }

    /// Adds a segment, with which the chain is built up to `end`. Returns it if the chain was cleared meanwhile.
    pub(crate) fn push(&self, segment: Option<Arc<Segment>>, end: u64) -> Option<Arc<Segment>> {
        let mut built = self.built.lock();
        if built.is_cleared {
            return segment;
        }
        built.segments.extend(segment);
        built.end = end;
        None
    }

    fn clear(&self) -> bool {
        let mut built = self.built.lock();
        let (segments, was_cleared) = (take(&mut built.segments), std::mem::replace(&mut built.is_cleared, true));
        drop(built);
        segments.into_iter().for_each(|segment| drop(FreedSegment::new(segment)));
        !was_cleared
    }
}

impl Cached for StateChain {
    fn clear_caches(&self) -> bool {
        self.clear()
    }
}

impl Drop for StateChain {
    fn drop(&mut self) {
        self.clear();
    }
}
