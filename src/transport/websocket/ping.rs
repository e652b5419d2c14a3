//! Pings of the server, and the pongs that answer them.

use futures_io::{AsyncRead, AsyncWrite};

use super::WebSocketSink;
use crate::contract::Subscriber;
use crate::transport::object::write_heartbeat;

impl<S: Subscriber, Io: AsyncRead + AsyncWrite + Unpin> WebSocketSink<S, Io> {
    /// Queues a ping, after a heartbeat if the subprotocol has one.
    #[cold]
    pub(super) fn ping(&mut self) {
        let cursor = self.subscriber.cursor();
        if self.has_objects() {
            self.outbox.put_text(|out| write_heartbeat(cursor, out));
        }
        let shows_cursor = self.has_objects() || self.config.raw_acknowledgements;
        let payload = self.cold.deadlines.pinged(self.outbox.unacknowledged(), cursor.filter(|_| shows_cursor));
        self.outbox.put_ping(&payload);
    }

    /// Handles a pong. If it answers the ping, the client has received everything that was sent before the ping.
    #[cold]
    pub(super) fn ponged(&mut self, payload: &[u8]) {
        if let Some(answered) = self.cold.deadlines.ponged(payload) {
            self.outbox.acknowledge(answered.bytes);
            answered.cursor.into_iter().for_each(|cursor| self.subscriber.acknowledge(cursor));
        }
    }
}
