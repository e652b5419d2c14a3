use std::sync::Arc;

use crate::hub::log::keyed_state::KeyedState;
use crate::hub::log::latest_by_key::LatestByKey;
use crate::hub::log::segment::Segment;
use crate::hub::log::segment_queue::SegmentQueue;
use crate::hub::log::segment_sizing::SegmentSizing;

/// Events of a log in memory. Not allocated for a topic that never had an event, unless it conflates.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) segments: SegmentQueue,
    pub(crate) sizing: SegmentSizing,
    /// Weight of the retained events.
    pub(crate) bytes: usize,
    /// Bytes charged for the segments and the topic.
    pub(crate) held: u64,
    /// Bytes with which the topic was last filed in [`LogsBySize`](crate::hub::budget::logs_by_size::LogsBySize).
    pub(crate) filed: u64,
    /// Sequence of the event that last had the topic [filed](crate::hub::log::log::LogState::file) as one in use.
    pub(crate) filed_at: u64,
    /// Newest event of each key, in a log that [conflates](crate::hub::log::log::LogState::conflates) and has had several events in memory.
    pub(crate) latest: Option<Box<LatestByKey>>,
    /// Segments that left history and stay in memory for connected readers.
    pub(crate) live: Option<Box<LiveBuffer>>,
    /// Index after the newest event that left memory before it expired.
    pub(crate) lost: u64,
    /// Sequence of that event.
    pub(crate) lost_sequence: u64,
    /// Index after the newest such event that was not known to be replaced by a newer one of its key.
    pub(crate) unreplaced: u64,
    /// Sequence of that event.
    pub(crate) unreplaced_sequence: u64,
    /// Newest event of each key, in a keyed topic.
    pub(crate) state: Option<Box<KeyedState>>,
    /// Time at which the oldest event expires or exceeds the retention's age; 0 if unknown. Most publishes therefore do
    /// not look at the oldest event, which is in no processor cache any more.
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
            state: None,
            due: 0,
        }
    }

    /// Takes the oldest segment out of history.
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

/// Segments of a log that have left history, oldest first, and stay in memory for connected readers that have not read
/// them.
#[derive(Debug)]
pub(crate) struct LiveBuffer {
    pub(crate) segments: SegmentQueue,
    /// Bytes charged for the segments.
    pub(crate) bytes: u64,
}

impl Default for LiveBuffer {
    fn default() -> Self {
        Self { segments: SegmentQueue::new(), bytes: 0 }
    }
}
