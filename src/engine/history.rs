use std::pin::Pin;
use std::sync::Arc;

use crate::model::{EndReason, Event, Pattern, Topic};

/// Future of an [`Engine`](crate::engine::Engine)'s operation.
pub type EngineFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Retained events of a hub, outside of its memory.
///
/// An event is in the history before a subscription of the hub yields it.
pub(crate) trait History: Send + Sync + 'static {
    /// Reads events.
    fn read(&self, read: Read) -> ReadFuture;
}

pub(crate) type ReadFuture = EngineFuture<Result<HistoryPage, HistoryError>>;

/// Events to read: those of its [ranges](Self::ranges) after one sequence, up to another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Read {
    /// Topics and patterns to read. A topic is in one of them at most.
    pub ranges: Arc<[ReadRange]>,
    /// Sequence after which events are read.
    pub after: u64,
    /// Sequence of the last event to read.
    pub up_to: u64,
    /// Sequence at which the subscription began, for [`ReadFrom::Last`]. At most [`up_to`](Self::up_to).
    pub since: u64,
}

impl Read {
    /// Creates a read of the events after one sequence, up to another.
    #[must_use]
    pub fn new(ranges: Arc<[ReadRange]>, after: u64, up_to: u64) -> Self {
        Self { ranges, after, up_to, since: up_to }
    }
}

/// Events of a topic, or of each topic that a pattern matches.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadRange {
    /// Topic or pattern.
    pub name: Pattern,
    /// Place of the first event of topics that are not keyed.
    pub from: ReadFrom,
    /// Sequence up to which no event of these topics is read.
    pub after: u64,
    /// Events of [keyed](crate::Retention::latest_per_key) topics; `None` if the range has none.
    pub state: Option<ReadState>,
}

/// Place of the first event of a [`ReadRange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadFrom {
    /// The events after [`Read::after`].
    Position,
    /// Of each topic the last `n` events up to [`Read::since`], and all events after it. Of these, the events after
    /// [`Read::after`] are read.
    Last(usize),
}

/// Events of keyed topics: those after the position of the read that are in history or the newest of their keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadState {
    /// Sequence up to which no event is read.
    pub after: u64,
    /// Sequence up to which only the newest event of each key is read, and no removal: the client needs none.
    pub base: u64,
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
    /// Creates the range of a name, from the position of the read, without keyed topics.
    #[must_use]
    pub fn new(name: Pattern) -> Self {
        Self { name, from: ReadFrom::Position, after: 0, state: None }
    }

    /// Returns the range of a client that has everything up to a sequence, and needs no removal up to another one.
    pub(crate) fn resumed(&self, after: u64, base: u64) -> Self {
        Self { after, state: self.state.map(|_| ReadState { after, base }), ..self.clone() }
    }

    /// Returns the range with the whole states.
    pub(crate) fn with_whole_states(&self, up_to: u64) -> Self {
        Self { state: self.state.map(|_| ReadState::whole(up_to)), ..self.clone() }
    }
}

/// First records of a [`Read`], in the order of their sequences.
#[derive(Debug, Clone, Default)]
pub struct HistoryPage {
    pub(crate) events: Vec<StoredEvent>,
    pub(crate) ends: Vec<StoredEnd>,
    pub(crate) up_to: u64,
    pub(crate) lost: Option<LostEvents>,
    pub(crate) lost_state: Option<LostEvents>,
    pub(crate) trims: u64,
}

impl HistoryPage {
    /// Creates a page. `up_to` is the sequence up to which no other event of the ranges is retained: the sequence of the last
    /// event, or the end of the read. A page ends after the read's beginning, so that the next one is another.
    #[must_use]
    pub fn new(events: Vec<StoredEvent>, up_to: u64) -> Self {
        Self { events, up_to, ..Self::default() }
    }

    /// Adds the ends of topics of the read, also of those that its patterns match, up to the end of the page.
    #[must_use]
    pub fn with_ends(self, ends: Vec<StoredEnd>) -> Self {
        Self { ends, ..self }
    }

    /// Adds the events of the read, up to the end of the page, that are not retained any more.
    #[must_use]
    pub fn with_lost(self, lost: LostEvents) -> Self {
        Self { lost: Some(lost), ..self }
    }

    /// Adds removals of keyed topics, up to the end of the page, that are not retained any more, and that the client needs, see
    /// [`ReadState::base`]. The client loses its place in the state, and gets the whole state again.
    #[must_use]
    pub fn with_lost_state(self, lost: LostEvents) -> Self {
        Self { lost_state: Some(lost), ..self }
    }

    /// Sets the number of times that retention removed events so far, or another number that grows then. If it is the same for
    /// two pages, no event was lost between them. Default: 0, for a log that removes no events while it is read.
    #[must_use]
    pub fn with_trims(self, trims: u64) -> Self {
        Self { trims, ..self }
    }
}

/// Event in a log.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    pub(crate) sequence: u64,
    pub(crate) topic: Topic,
    pub(crate) event: Event,
}

impl StoredEvent {
    /// Creates an event with its place.
    #[must_use]
    pub fn new(sequence: u64, topic: Topic, event: Event) -> Self {
        Self { sequence, topic, event }
    }
}

/// End of a topic in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEnd {
    pub(crate) sequence: u64,
    pub(crate) topic: Topic,
    pub(crate) reason: EndReason,
}

impl StoredEnd {
    /// Creates an end with its place.
    #[must_use]
    pub fn new(sequence: u64, topic: Topic, reason: EndReason) -> Self {
        Self { sequence, topic, reason }
    }
}

/// Events that are not retained any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostEvents {
    pub(crate) last: u64,
    pub(crate) topic: Option<Topic>,
}

impl LostEvents {
    /// Creates the loss of events up to a sequence, which is that of the last one of them.
    #[must_use]
    pub fn up_to(last: u64) -> Self {
        Self { last, topic: None }
    }

    /// Sets the topic of the events, if all are of one topic.
    #[must_use]
    pub fn with_topic(self, topic: Topic) -> Self {
        Self { topic: Some(topic), ..self }
    }
}

/// Read that failed for good: the history is damaged, so that the events of the read count as lost, or the hub is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("history cannot be read")]
#[non_exhaustive]
pub struct HistoryError {
    /// Whether the hub is closed: its subscriptions end, and nothing is lost.
    pub(crate) is_closed: bool,
}

impl HistoryError {
    /// Creates the error of events that cannot be read.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "an error is not a default")]
    pub const fn new() -> Self {
        Self { is_closed: false }
    }

    /// Creates the error of a hub that is closed.
    #[must_use]
    pub const fn closed() -> Self {
        Self { is_closed: true }
    }
}
