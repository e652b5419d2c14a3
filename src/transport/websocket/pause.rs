//! Pause before the Close frame of a client that came after the end. Clients that connect again at once after any Close frame
//! then make one connection in a second.

use futures_io::{AsyncRead, AsyncWrite};

use super::close::of_end;
use super::sink::Phase;
use super::{CloseCause, WebSocketSink};
use crate::contract::{Subscriber, SubscriptionEnd};

impl<S: Subscriber, Io: AsyncRead + AsyncWrite + Unpin> WebSocketSink<S, Io> {
    /// Delays the Close frame of the end by 1 s. A Close frame of the client, and each method that closes the connection, ends
    /// the pause.
    #[cfg(feature = "http")]
    pub(crate) fn pause_at_end(mut self) -> Self {
        self.cold.pauses_at_end = true;
        self
    }

    /// Begins the pause. The subscriber is not polled again.
    #[cold]
    pub(super) fn pause(&mut self) {
        self.phase = Phase::Pausing;
        self.subscriber.release();
        self.cold.message_queue.discard_waiting();
        self.cold.deadlines.pausing();
    }

    /// Ends the pause, and begins to close the connection.
    #[cold]
    pub(super) fn close_finished(&mut self) {
        let (code, reason) = of_end(SubscriptionEnd::Finished);
        self.end(CloseCause::End(SubscriptionEnd::Finished), code, reason);
    }

    /// Returns whether a Close frame was queued, or the connection has ended.
    pub(super) fn is_closing(&self) -> bool {
        self.phase >= Phase::Closing
    }
}
