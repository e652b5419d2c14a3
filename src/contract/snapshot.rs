use crate::model::{Cursor, Event, Topic};

/// The application's state as events, for a client that can't be brought there by the events it missed.
///
/// Sent whole, in one piece, before anything later. A client that is cut off before its end comes back with the cursor
/// that it had, and gets it anew.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    events: Vec<(Topic, Event)>,
    as_of: Option<Cursor>,
}

impl Snapshot {
    /// A snapshot of these events, in this order.
    pub fn new(events: impl IntoIterator<Item = (Topic, Event)>) -> Self {
        Self { events: events.into_iter().collect(), as_of: None }
    }

    /// Says that everything up to this cursor is in the state: such events are not sent after it. Without, the client
    /// may get an event that the state has too.
    #[must_use]
    pub fn as_of(self, cursor: Cursor) -> Self {
        Self { as_of: Some(cursor), ..self }
    }
}
