use crate::model::Cursor;

/// Where a source is: how far ahead its newest event is of a [`Subscriber`](crate::Subscriber) of it.
pub trait Head: Send + Sync + 'static {
    /// The newest event's cursor, of any topic. Asked from any thread.
    fn cursor(&self) -> Cursor;
}
