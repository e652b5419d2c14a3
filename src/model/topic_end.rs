use crate::model::{Cursor, Topic};

/// End of a topic: no event follows.
///
/// A subscriber yields it after the last event of the topic, see
/// [`Hub::finish`](crate::Hub::finish). On the wire it is the object
/// `{"id":"7.a9","end":{"topic":"news","reason":"done"}}`.
///
/// ```
/// use tidings::{Cursor, EndReason, Topic, TopicEnd};
///
/// let end = TopicEnd::new(Topic::new("news")?, Cursor::new(7, 9), EndReason::Done);
/// assert_eq!((end.reason.as_str(), end.is_last), ("done", false));
/// # Ok::<(), tidings::TopicError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicEnd {
    /// Topic that has ended.
    pub topic: Topic,
    /// Position of the end. A client that resumes from it does not receive the end again.
    pub cursor: Cursor,
    /// Reason of the end.
    pub reason: EndReason,
    /// Whether all topics of the subscriber have ended. Its next delivery is
    /// [`SubscriptionEnd::Finished`](crate::subscriber::SubscriptionEnd::Finished).
    pub is_last: bool,
}

impl TopicEnd {
    /// Reserved cursor of the end of a source without cursors. No hub has its epoch.
    pub(crate) const RESERVED_CURSOR: Cursor = Cursor::new(0, 1);

    /// Creates the end of one topic, while other topics of the subscriber continue.
    #[must_use]
    pub fn new(topic: Topic, cursor: Cursor, reason: EndReason) -> Self {
        Self { topic, cursor, reason, is_last: false }
    }

    /// Marks the end as that of the last topic of the subscriber.
    #[must_use]
    pub fn with_last(self) -> Self {
        Self { is_last: true, ..self }
    }
}

/// Reason why a topic has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// The source has published everything.
    Done,
    /// A user or the application stopped the source early.
    Stopped,
    /// The source failed. Events are missing after the last one.
    Failed,
}

impl EndReason {
    /// All reasons.
    pub const ALL: &'static [Self] = &[Self::Done, Self::Stopped, Self::Failed];

    /// Returns the name of the reason on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}
