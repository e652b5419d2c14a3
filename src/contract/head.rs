use crate::model::Cursor;

/// Position of a source's newest event, which shows how far behind a [`Subscriber`](crate::Subscriber) of it is.
pub trait Head: Send + Sync + 'static {
    /// The newest event's cursor, of any topic. Asked from any thread.
    fn cursor(&self) -> Cursor;
}
