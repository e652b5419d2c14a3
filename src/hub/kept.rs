use std::sync::Arc;

use crate::hub::newest::Newest;
use crate::hub::segment::Segment;
use crate::hub::segments::Segments;
use crate::hub::tail::Tail;

/// What a log has of its events. A topic that never had one has nothing of this, unless somebody conflates.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) segments: Segments,
    pub(super) tail: Tail,
    /// The weight of what is retained.
    pub(super) bytes: usize,
    /// Bytes charged for the segments and the topic.
    pub(super) held: u64,
    /// The same when the topic was last filed among the [sizes](crate::hub::sizes::Sizes).
    pub(super) filed: u64,
    /// The sequence of the event that last had the topic [filed](State::file) for its own sake.
    pub(super) filed_at: u64,
    /// Of a log that [conflates](State::conflates), once it has several events in memory.
    pub(super) newest: Option<Box<Newest>>,
    /// Segments that left history and are kept for connected readers.
    pub(super) live: Option<Box<LiveBuffer>>,
    /// The index after the newest event that left memory before its time to live was over.
    pub(super) lost: u64,
    /// The sequence of that event.
    pub(super) lost_sequence: u64,
    /// The index after the newest such event that no newer one of its key had replaced, as far as that is known.
    pub(super) unreplaced: u64,
    /// The sequence of that event.
    pub(super) unreplaced_sequence: u64,
    /// When the time of the oldest event is up, of the topic's or its own; 0 where nobody has looked. So most publishes
    /// need not look at the oldest event, which is in no cache any more.
    pub(super) due: u64,
}

pub(super) static NOTHING: Kept = Kept::new();

impl Kept {
    const fn new() -> Self {
        Self {
            segments: Segments::new(),
            tail: Tail::NONE,
            bytes: 0,
            held: 0,
            filed: 0,
            filed_at: 0,
            newest: None,
            live: None,
            lost: 0,
            lost_sequence: 0,
            unreplaced: 0,
            unreplaced_sequence: 0,
            due: 0,
        }
    }

    /// Takes the oldest segment of history out.
    pub(super) fn take_oldest(&mut self) -> Option<Arc<Segment>> {
        let oldest = self.segments.pop()?;
        self.held -= oldest.charged();
        Some(oldest)
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self::new()
    }
}

/// The segments of a log that have left history, oldest first, and stay in memory for connected readers that have not
/// read them.
#[derive(Debug)]
pub(super) struct LiveBuffer {
    pub(super) segments: Segments,
    /// Bytes charged for them.
    pub(super) bytes: u64,
}

impl Default for LiveBuffer {
    fn default() -> Self {
        Self { segments: Segments::new(), bytes: 0 }
    }
}
