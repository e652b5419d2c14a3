use std::sync::Arc;

use crate::hub::live_buffer::LiveBuffer;
use crate::hub::log::State;
use crate::hub::newest::Newest;
use crate::hub::segment::Segment;
use crate::hub::segments::Segments;
use crate::hub::tail::Tail;

/// Events of a log. A topic that never had an event has nothing of this, unless a subscription conflates.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) segments: Segments,
    pub(super) tail: Tail,
    /// The weight of what is retained.
    pub(super) bytes: usize,
    /// Bytes charged for the segments and the topic.
    pub(super) held: u64,
    /// The value of `held` when the topic was last filed among the [sizes](crate::hub::sizes::Sizes).
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

static NOTHING: Kept = Kept::new();

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

impl State {
    #[inline]
    pub(super) fn kept(&self) -> &Kept {
        self.kept.as_deref().unwrap_or(&NOTHING)
    }

    #[inline]
    pub(super) fn kept_mut(&mut self) -> &mut Kept {
        self.kept.get_or_insert_default()
    }

    /// The oldest segment of history.
    #[inline]
    pub(super) fn front(&self) -> Option<&Arc<Segment>> {
        self.kept().segments.oldest()
    }

    /// The sequence of the newest event.
    pub(super) fn last(&self) -> u64 {
        self.kept().segments.newest().map_or(self.gone, |newest| newest.sequence(newest.len().saturating_sub(1)))
    }
}
