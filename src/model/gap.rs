use crate::model::{Cursor, Topic};

/// What a subscriber gets in the place of events that are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// Why they are gone.
    pub reason: GapReason,
    /// How many, where that can be known.
    pub missed: Option<u64>,
    /// The topic they were of, where it is one.
    pub topic: Option<Topic>,
    /// The position of the last missing event: a client that holds it has been told.
    pub cursor: Cursor,
    /// Everything up to here was delivered before it, where the hub knows: a client that resumes from it is told again.
    pub after: Option<Cursor>,
    /// Whether the application's state follows, so that what is missing is missed by nobody.
    pub snapshot: bool,
}

impl Gap {
    /// A gap up to and with `cursor`, of unknown size and topic.
    #[must_use]
    pub fn new(reason: GapReason, cursor: Cursor) -> Self {
        Self { reason, missed: None, topic: None, cursor, after: None, snapshot: false }
    }

    /// The same with the number of events missed.
    #[must_use]
    pub fn missed(self, missed: u64) -> Self {
        Self { missed: Some(missed), ..self }
    }

    /// The same, and everything up to this cursor was delivered before it.
    #[must_use]
    pub fn after(self, cursor: Cursor) -> Self {
        Self { after: Some(cursor), ..self }
    }

    /// The same, followed by the application's state.
    #[must_use]
    pub fn with_snapshot(self) -> Self {
        Self { snapshot: true, ..self }
    }

    /// The same with the topic that they were of.
    #[must_use]
    pub fn topic(self, topic: Topic) -> Self {
        Self { topic: Some(topic), ..self }
    }
}

/// Why events are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GapReason {
    /// The client was away longer than history is kept.
    Evicted,
    /// The subscriber was here, and slower than history is kept.
    Overflow,
    /// The cursor is of another life of the hub; all that is retained follows.
    Epoch,
    /// The cursor can't be read, or is ahead of the hub; what follows is live.
    Invalid,
}

impl GapReason {
    /// The reason's name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Evicted => "evicted",
            Self::Overflow => "overflow",
            Self::Epoch => "epoch",
            Self::Invalid => "invalid",
        }
    }
}

/// What happens to a subscriber that falls behind history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// It gets a [`Gap`] with the exact count, and goes on from the oldest event retained.
    #[default]
    Gap,
    /// Its subscription ends with [`End::TooSlow`](crate::End::TooSlow).
    Disconnect,
    /// Of the events of a topic that it has not read, it gets only the newest of each key, in order, and those without
    /// a key; what was evicted unread is still a [`Gap`].
    Latest,
}
