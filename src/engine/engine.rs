use std::sync::Arc;

use crate::contract::PublishError;
use crate::engine::history::{EngineFuture, HistoryError, HistoryPage, Read, StoredEnd};
use crate::engine::tail::Tail;
use crate::model::{EndReason, Event, Pattern, Topic};

/// Log of events outside of the process, in which [`EngineHub`](crate::engine::EngineHub)s of several processes share their
/// events.
///
/// # Positions
///
/// The log gives each event and each end of a topic a sequence. Sequences increase, in all topics together. An *epoch* is a
/// time in which the log lost nothing. If it may have lost records, for example because its server started again, it begins
/// another one: it adds the old epoch with the last sequence that is left of it to the list of [`LogState`]. If it lost the
/// list, too, the list begins anew. So a cursor is one of the log if its epoch is in the list and not before its sequence.
///
/// # Futures
///
/// The futures of a read, of [`follow`](Self::follow) and of [`state`](Self::state) wait while the server cannot be reached, and
/// are dropped if their result is not needed any more. The future of an append does not wait, but returns an error.
pub trait Engine: Send + Sync + 'static {
    /// Returns the state of the log.
    fn state(&self) -> EngineFuture<Result<LogState, HistoryError>>;

    /// Appends an event, or ends a topic, in one atomic step. An engine that tries again, because an attempt may have failed, does
    /// so with the same [`Append::id`], and appends once.
    ///
    /// # Errors
    ///
    /// - [`PublishError::Unavailable`]: nothing was appended.
    /// - [`PublishError::OutcomeUnknown`]: it is not known whether it was.
    /// - [`PublishError::Finished`]: the topic has ended. To end it again is no error: the result is the first end.
    /// - [`PublishError::TooLarge`] and others, if the log has such limits.
    fn append(&self, append: Append) -> EngineFuture<Result<Appended, PublishError>>;

    /// Reads a page of retained records, in the epoch of the last state that was [pushed](Tail::state), or of the first one that
    /// [`state`](Self::state) returned. If the log is in another one, the engine pushes its state, and the future may stay
    /// pending: the hub drops it then.
    ///
    /// # Errors
    ///
    /// An error is final: subscribers get a gap in place of the events of the read.
    fn read(&self, read: Read) -> EngineFuture<Result<HistoryPage, HistoryError>>;

    /// Follows topics and patterns: [`run`](Self::run) pushes their records until they are not followed any more. When the
    /// future is ready, each record after [`Followed::head`] is pushed, and [`Tail::complete`] is called with the head or a greater
    /// sequence soon.
    ///
    /// # Errors
    ///
    /// On an error the hub tries again after the next call of [`Tail::complete`].
    fn follow(&self, names: Vec<Pattern>) -> EngineFuture<Result<Followed, HistoryError>>;

    /// Ends [`follow`](Self::follow). Does not block.
    fn unfollow(&self, names: &[Pattern]);

    /// Pushes records of followed names to the tail, until the future is dropped. It keeps the connection: it connects again, follows
    /// again what was followed, and calls [`Tail::lost`] before the next [`Tail::complete`].
    fn run(&self, tail: Tail) -> EngineFuture<()>;
}

/// State of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogState {
    /// Epoch in which records are appended. Not 0.
    pub epoch: u64,
    /// Earlier epochs, each with the last sequence that is left of it.
    pub earlier: Vec<(u64, u64)>,
    /// Last sequence.
    pub head: u64,
}

impl LogState {
    /// Creates the state of a log without earlier epochs.
    #[must_use]
    pub fn new(epoch: u64, head: u64) -> Self {
        Self { epoch, earlier: Vec::new(), head }
    }

    /// Sets the earlier epochs, each with the last sequence that is left of it.
    #[must_use]
    pub fn with_earlier(self, earlier: Vec<(u64, u64)>) -> Self {
        Self { earlier, ..self }
    }
}

/// Record to append.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Append {
    /// Topic of the record.
    pub topic: Topic,
    /// Event, or end of the topic.
    pub body: AppendBody,
    /// Random number that no other record has.
    pub id: u128,
}

/// Content of an [`Append`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AppendBody {
    /// Event.
    Event(Event),
    /// End of the topic.
    End(EndReason),
}

/// Result of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Appended {
    /// The record has this place.
    At {
        /// Epoch of the log.
        epoch: u64,
        /// Sequence of the record.
        sequence: u64,
    },
    /// The topic ended before, at this place. Only for an end.
    Ended {
        /// Epoch of the log.
        epoch: u64,
        /// Sequence of the first end.
        sequence: u64,
        /// Reason of the first end.
        reason: EndReason,
    },
    /// The log has the record, and gives it a place later.
    Queued,
}

/// Result of [`Engine::follow`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Followed {
    /// Last sequence of the log, read after the names were followed.
    pub head: u64,
    /// Ends of the followed topics that have ended. Not those of patterns.
    pub ends: Vec<StoredEnd>,
}

impl Followed {
    /// Creates the result for topics that have not ended.
    #[must_use]
    pub fn new(head: u64) -> Self {
        Self { head, ends: Vec::new() }
    }

    /// Adds the ends of topics.
    #[must_use]
    pub fn with_ends(self, ends: Vec<StoredEnd>) -> Self {
        Self { ends, ..self }
    }
}

impl<E: Engine + ?Sized> Engine for Arc<E> {
    fn state(&self) -> EngineFuture<Result<LogState, HistoryError>> {
        (**self).state()
    }

    fn append(&self, append: Append) -> EngineFuture<Result<Appended, PublishError>> {
        (**self).append(append)
    }

    fn read(&self, read: Read) -> EngineFuture<Result<HistoryPage, HistoryError>> {
        (**self).read(read)
    }

    fn follow(&self, names: Vec<Pattern>) -> EngineFuture<Result<Followed, HistoryError>> {
        (**self).follow(names)
    }

    fn unfollow(&self, names: &[Pattern]) {
        (**self).unfollow(names);
    }

    fn run(&self, tail: Tail) -> EngineFuture<()> {
        (**self).run(tail)
    }
}
