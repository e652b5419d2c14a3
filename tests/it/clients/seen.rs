use serde_json::Value;

/// Item that a client got.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    Event(Event),
    Gap(Gap),
    TopicEnd(TopicEnd),
    End(End),
}

/// An event, as far as the wire format expresses it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) cursor: Option<String>,
    pub(crate) topic: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) data: Data,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    Text(String),
    Json(Value),
    Binary(Vec<u8>),
    /// The event removes its key.
    Removed,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Gap {
    pub(crate) cursor: String,
    pub(crate) reason: String,
    pub(crate) missed: Option<u64>,
    pub(crate) topic: Option<String>,
    /// Whether a snapshot of the application follows.
    pub(crate) snapshot: bool,
}

/// The end of a topic.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TopicEnd {
    pub(crate) cursor: String,
    pub(crate) topic: String,
    pub(crate) reason: String,
}

/// Cause of the end of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The source ended.
    Finished,
    /// All topics have ended, and the client has everything. Only the reply of a poll distinguishes it from the end of the source.
    AllEnded,
    /// The client should reconnect: the server said so, or the connection broke.
    Later,
    /// Events are missing, and the wire format can express that only by its end.
    Gap,
}

impl Seen {
    /// Returns the cursor of a client after this item.
    pub(crate) fn cursor(&self) -> Option<&str> {
        match self {
            Self::Event(event) => event.cursor.as_deref(),
            Self::Gap(gap) => Some(&gap.cursor),
            Self::TopicEnd(end) => Some(&end.cursor),
            Self::End(_) => None,
        }
    }
}
