use std::pin::Pin;
use std::sync::Arc;

use crate::model::{Event, Pattern, Topic};

/// Retained events of a hub, outside of its memory.
///
/// An event is in the history before a subscription of the hub yields it.
pub(crate) trait History: Send + Sync + 'static {
    /// Reads events.
    fn read(&self, read: Read) -> ReadFuture;
}

pub(crate) type ReadFuture = Pin<Box<dyn Future<Output = Result<HistoryPage, HistoryError>> + Send>>;

/// Events to read: those of `ranges` after one sequence, up to another.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub(crate) ranges: Arc<[ReadRange]>,
    pub(crate) after: u64,
    pub(crate) up_to: u64,
}

/// Events of a topic, or of each topic that a pattern matches. A topic is in one range of a read at most.
#[derive(Debug, Clone)]
pub(crate) struct ReadRange {
    pub(crate) name: Pattern,
    /// Events of topics that are not keyed.
    pub(crate) from: ReadFrom,
    /// Sequence up to which no event of these is read.
    pub(crate) after: u64,
    /// Events of [keyed](crate::Retention::latest_per_key) topics; `None` if the range has none.
    pub(crate) state: Option<ReadState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadFrom {
    /// The events after the position of the read.
    Position,
    /// The last `n` of the events up to the end of the read.
    Last(usize),
}

/// Events of keyed topics: those after the position of the read that are in history or the newest of their keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ReadState {
    /// Sequence up to which no event is read.
    pub(crate) after: u64,
    /// Sequence up to which only the newest event of each key is read, and no removal: the client needs none.
    pub(crate) base: u64,
}

impl ReadState {
    /// Returns the whole state as of a sequence, and later changes.
    pub(crate) fn whole(up_to: u64) -> Self {
        Self { after: 0, base: up_to }
    }

    /// Returns the sequence up to which a client that has read everything up to a position needs no removal.
    pub(crate) fn needed(self, position: u64) -> u64 {
        position.max(self.after).max(self.base)
    }
}

impl ReadRange {
    /// Returns the range of a client that has everything up to a sequence, and needs no removal up to another one.
    pub(crate) fn resumed(&self, after: u64, base: u64) -> Self {
        Self { after, state: self.state.map(|_| ReadState { after, base }), ..self.clone() }
    }

    /// Returns the range with the whole states.
    pub(crate) fn with_whole_states(&self, up_to: u64) -> Self {
        Self { state: self.state.map(|_| ReadState::whole(up_to)), ..self.clone() }
    }
}

/// First events of a read, in the order of the hub.
#[derive(Debug, Default)]
pub(crate) struct HistoryPage {
    pub(crate) events: Vec<StoredEvent>,
    /// Sequence up to which no other event of the ranges is retained: that of the last event, or the end of the read.
    pub(crate) up_to: u64,
    /// Events of the read, up to there, that are not retained any more.
    pub(crate) lost: Option<LostEvents>,
    /// Removals up to there of keyed topics that are not retained any more, and that the client needs. Its position in the
    /// state is lost, so the events are not delivered.
    pub(crate) lost_state: Option<LostEvents>,
    /// Number of times that retention removed events so far. If it is the same for two reads, no event was lost between them.
    pub(crate) trims: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct StoredEvent {
    pub(crate) sequence: u64,
    pub(crate) topic: Topic,
    pub(crate) event: Event,
}

/// Events that are not retained any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LostEvents {
    /// Sequence of the last of them.
    pub(crate) last: u64,
    /// Their topic, if all are of one topic.
    pub(crate) topic: Option<Topic>,
}

/// Read that failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HistoryError {
    /// The events of the read count as lost.
    #[error("history cannot be read")]
    Unreadable,
    /// The hub is closed. Its subscriptions end, and nothing is lost.
    #[error("history is closed")]
    Closed,
}
