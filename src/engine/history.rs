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
    pub(crate) from: ReadFrom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadFrom {
    /// The events after the position of the read.
    Position,
    /// The last `n` of the events up to the end of the read.
    Last(usize),
}

/// First events of a read, in the order of the hub.
#[derive(Debug, Default)]
pub(crate) struct HistoryPage {
    pub(crate) events: Vec<StoredEvent>,
    /// Sequence up to which no other event of the ranges is retained: that of the last event, or the end of the read.
    pub(crate) up_to: u64,
    /// Events of the read, up to there, that are not retained any more.
    pub(crate) lost: Option<LostEvents>,
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

/// Read that failed for good: the history is damaged, or closed. The events of the read count as lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("history cannot be read")]
pub(crate) struct HistoryError;
