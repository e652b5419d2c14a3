use serde_json::Value;

/// Item that a client sees.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    Event(Event),
    Gap(Gap),
    End(End),
}

/// An event, as far as its wire tells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) cursor: Option<String>,
    pub(crate) topic: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) data: Data,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    Text(String),
    Json(Value),
    Binary(Vec<u8>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Gap {
    pub(crate) cursor: String,
    pub(crate) reason: String,
    pub(crate) missed: Option<u64>,
    pub(crate) topic: Option<String>,
    /// Whether the application's state follows.
    pub(crate) snapshot: bool,
}

/// Why a client sees nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// There is nothing more.
    Finished,
    /// It is to come back: said so, or the connection broke off.
    Later,
    /// Something is gone, and this wire has no words for it but its end.
    Gap,
}

impl Seen {
    /// The cursor of a client that has seen this last.
    pub(crate) fn cursor(&self) -> Option<&str> {
        match self {
            Self::Event(event) => event.cursor.as_deref(),
            Self::Gap(gap) => Some(&gap.cursor),
            Self::End(_) => None,
        }
    }
}
