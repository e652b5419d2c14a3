use std::sync::Arc;

use crate::hub::log::latest_by_key::LatestByKey;
use crate::hub::log::segment::Segment;
use crate::hub::log::segment_queue::SegmentQueue;
use crate::hub::log::segment_sizing::SegmentSizing;

/// What a log has of its events. A topic that never had one has nothing of this, unless somebody conflates.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) segments: SegmentQueue,
    pub(crate) sizing: SegmentSizing,
    /// The weight of what is retained.
    pub(crate) bytes: usize,
    /// Bytes charged for the segments and the topic.
    pub(crate) held: u64,
    /// The same when the topic was last filed among the [sizes](crate::hub::budget::logs_by_size::LogsBySize).
    pub(crate) filed: u64,
    /// The sequence of the event that last had the topic [filed](LogState::file) for its own sake.
    pub(crate) filed_at: u64,
    /// Of a log that [conflates](LogState::conflates), once it has several events in memory.
    pub(crate) latest: Option<Box<LatestByKey>>,
    /// SegmentQueue that left history and are history for connected readers.
    pub(crate) live: Option<Box<LiveBuffer>>,
    /// The index after the newest event that left memory before its time to live was over.
    pub(crate) lost: u64,
    /// The sequence of that event.
    pub(crate) lost_sequence: u64,
    /// The index after the newest such event that no newer one of its key had replaced, as far as that is known.
    pub(crate) unreplaced: u64,
    /// The sequence of that event.
    pub(crate) unreplaced_sequence: u64,
    /// When the time of the oldest event is up, of the topic's or its own; 0 where nobody has looked. So most publishes
    /// need not look at the oldest event, which is in no cache any more.
    pub(crate) due: u64,
}

pub(crate) static NO_HISTORY: History = History::new();

impl History {
    const fn new() -> Self {
        Self {
            segments: SegmentQueue::new(),
            sizing: SegmentSizing::NONE,
            bytes: 0,
            held: 0,
            filed: 0,
            filed_at: 0,
            latest: None,
            live: None,
            lost: 0,
            lost_sequence: 0,
            unreplaced: 0,
            unreplaced_sequence: 0,
            due: 0,
        }
    }

    /// Takes the oldest segment of history out.
    pub(crate) fn take_oldest(&mut self) -> Option<Arc<Segment>> {
        let oldest = self.segments.pop()?;
        self.held -= oldest.charged();
        Some(oldest)
    }
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

/// The segments of a log that have left history, oldest first, and stay in memory for connected readers that have not
/// read them.
#[derive(Debug)]
pub(crate) struct LiveBuffer {
    pub(crate) segments: SegmentQueue,
    /// Bytes charged for them.
    pub(crate) bytes: u64,
}

impl Default for LiveBuffer {
    fn default() -> Self {
        Self { segments: SegmentQueue::new(), bytes: 0 }
    }
}
