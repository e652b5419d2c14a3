#![allow(clippy::exhaustive_enums, clippy::exhaustive_structs, reason = "clients of other wire formats create them")]

use serde_json::Value;

/// Item that a client got.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// An event.
    Event(SeenEvent),
    /// A gap in place of missing events.
    Gap(SeenGap),
    /// The end of a topic.
    TopicEnd(SeenTopicEnd),
    /// The end of the client's connection, or of all its topics.
    End(ClientEnd),
}

/// Event that a client got, as far as the wire format expresses it.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenEvent {
    /// Cursor after the event.
    pub cursor: Option<String>,
    /// Topic of the event.
    pub topic: Option<String>,
    /// Key of the event, if it has one.
    pub key: Option<String>,
    /// Name of the event, if it has one.
    pub name: Option<String>,
    /// Payload.
    pub data: SeenData,
}

/// Payload of an event that a client got.
#[derive(Debug, Clone, PartialEq)]
pub enum SeenData {
    /// Text.
    Text(String),
    /// A JSON value.
    Json(Value),
    /// Bytes.
    Binary(Vec<u8>),
    /// The event removes its key.
    Removed,
}

/// Gap that a client got.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenGap {
    /// Cursor after the gap.
    pub cursor: String,
    /// Reason, such as `evicted`.
    pub reason: String,
    /// Number of missing events, if it is known.
    pub missed: Option<u64>,
    /// Topic of the missing events, if they are of one.
    pub topic: Option<String>,
    /// Whether a snapshot of the application, or the state of the topics, follows.
    pub snapshot: bool,
}

/// End of a topic that a client got.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenTopicEnd {
    /// Cursor after the end.
    pub cursor: String,
    /// Topic that ended.
    pub topic: String,
    /// Reason: `done`, `stopped` or `failed`.
    pub reason: String,
}

/// Cause of the end of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientEnd {
    /// The source ended.
    Finished,
    /// All topics have ended, and the client has everything. Only the reply of a poll distinguishes it from the end of the source.
    AllEnded,
    /// The client should reconnect: the server asked for it, or the connection broke.
    Later,
    /// Events are missing, and the wire format can express that only by its end.
    Gap,
}

impl Seen {
    /// Returns the cursor of a client after this item.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        match self {
            Self::Event(event) => event.cursor.as_deref(),
            Self::Gap(gap) => Some(&gap.cursor),
            Self::TopicEnd(end) => Some(&end.cursor),
            Self::End(_) => None,
        }
    }
}
