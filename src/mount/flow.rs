use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

/// What a live body is made of: an adapter's stream, in the session's keeping.
pub(super) trait Flow: Send {
    /// The next whole piece; never an empty one. `None`: the stream is over.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>>;

    /// Once it is over: whether the client is to come back.
    fn breaks_off(&self) -> bool;

    /// Asks for a last piece that says when to come back. `false`: this wire has none.
    fn say_bye(&mut self, retry: Duration) -> bool {
        let _ = retry;
        false
    }
}
