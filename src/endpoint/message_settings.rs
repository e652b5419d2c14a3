use std::time::Duration;

use super::builder::EndpointBuilder;

/// Limits of messages from clients, and of the size of delivered events.
impl EndpointBuilder {
    /// Sets the most bytes of one event as it is delivered, with its envelope and framing: the fields of the JSON
    /// object, base64, the lines of server-sent events, the header of a WebSocket frame. Default: any number.
    ///
    /// A client library that refuses a large event reconnects at its cursor and gets the same event again. Python's
    /// `websockets`, for example, refuses messages above 1 MiB unless its `max_size` is raised. With this limit, a
    /// larger event is replaced by a gap with the reason `too_large`, whose id is the event's cursor, and the client
    /// continues after it. [`Publisher::snapshot`](crate::Publisher::snapshot) is not called for such a gap. In a topic
    /// that [keeps the newest event of each key](crate::Retention::latest_per_key) the client keeps the earlier event
    /// of that key: limit the publication instead.
    ///
    /// A snapshot that has a larger event is not sent, and [`on_refusal`](Self::on_refusal) is called. The client gets
    /// the gap alone, or a gap with the reason `too_large` if it would have begun with the snapshot. A larger answer of
    /// [`Publisher::receive`](crate::Publisher::receive) becomes an [`Internal`](crate::Rejection::Internal) rejection;
    /// the header of the answer's frame does not count.
    ///
    /// Raw WebSocket frames cannot carry a gap, so the connection is closed with 1013, as for every gap.
    /// [`EndpointStats::too_large`](crate::stats::EndpointStats::too_large) counts these gaps.
    ///
    /// A limit below [`max_batch_bytes`](Self::max_batch_bytes) makes the batches smaller, too. To refuse the
    /// publication instead, set [`LocalHubBuilder::max_event`](crate::LocalHubBuilder::max_event).
    pub fn max_event(mut self, max: usize) -> Self {
        self.config.max_event = max;
        self
    }

    /// Sets the most bytes of a message from a client. Default: 64 KiB. A larger POST gets 413; a larger WebSocket
    /// message closes the connection with 1009.
    pub fn max_message(mut self, max: usize) -> Self {
        self.config.max_message = max;
        self
    }

    /// Sets the most fragments of a WebSocket message after its first. Default: 65,536.
    pub fn max_fragments(mut self, max: u32) -> Self {
        self.config.max_fragments = max;
        self
    }

    /// Sets how many pings and pongs a WebSocket client may send per second, and in one burst. Default: 10. One more
    /// closes the connection with 1008.
    pub fn control_rate(mut self, rate: u32) -> Self {
        self.config.control_rate = rate;
        self
    }

    /// Sets how many messages a WebSocket client may send per second, and in one burst. Default: 100. One more closes
    /// the connection with 1008.
    ///
    /// Messages by POST are not counted: limit them in the application or its proxy.
    pub fn max_message_rate(mut self, rate: u32) -> Self {
        self.config.max_message_rate = rate;
        self
    }

    /// Sets the time for a message to arrive in full. Default: 10 s. A slower POST gets 408; a slower WebSocket message
    /// closes the connection with 1008.
    pub fn message_timeout(mut self, timeout: Duration) -> Self {
        self.config.message_timeout = timeout;
        self
    }
}
