use std::time::Duration;

use super::builder::EndpointBuilder;

/// Settings of messages: those that clients send, and the size of the events that they get.
impl EndpointBuilder {
    /// Sets the most bytes of one event as it is delivered: with its envelope and framing, such as the fields of the JSON
    /// object, base64, the lines of server-sent events or the header of a WebSocket frame. Default: any number.
    ///
    /// A client library that refuses a large event reconnects at its cursor and gets the same event again. Python's
    /// `websockets` refuses messages above 1 MiB unless told otherwise (`max_size`), so an event of 1 MiB and its envelope
    /// are too much. A larger event than this is replaced by a gap with the reason `too_large`, whose id is the event's
    /// cursor: the client goes on after it. [`Publisher::snapshot`](crate::Publisher::snapshot) is not asked for such a gap.
    /// A snapshot with a larger event is not sent: the client gets the gap alone, and [`on_refusal`](Self::on_refusal) is
    /// called. If the client would have begun with the snapshot, it gets a gap with the reason `too_large`. An answer of [`Publisher::receive`](crate::Publisher::receive) that is larger is
    /// an [`Internal`](crate::Rejection::Internal) rejection. The header of an answer's frame does not count.
    ///
    /// Raw WebSocket frames can't carry a gap, so the connection is closed with 1013, as for every gap.
    /// [`EndpointStats::too_large`](crate::stats::EndpointStats::too_large) counts these gaps.
    ///
    /// A limit below the [batch](Self::max_batch_bytes) makes the pieces smaller too. The hub's own limit,
    /// [`LocalHubBuilder::max_event`](crate::LocalHubBuilder::max_event), refuses the publication.
    pub fn max_event(mut self, max: usize) -> Self {
        self.config.max_event = max;
        self
    }

    /// Sets the longest message that a client may send, in bytes. Default: 64 KiB.
    pub fn max_message(mut self, max: usize) -> Self {
        self.config.max_message = max;
        self
    }

    /// Sets how many fragments a WebSocket's message may have after its first. Default: 65,536.
    pub fn max_fragments(mut self, max: u32) -> Self {
        self.config.max_fragments = max;
        self
    }

    /// Sets how many pings and pongs a WebSocket's client may send a second, and at once. Default: 10.
    pub fn control_rate(mut self, rate: u32) -> Self {
        self.config.control_rate = rate;
        self
    }

    /// Sets how many messages a WebSocket's client may send a second, and at once. Default: 100.
    ///
    /// One more closes the connection with 1008. Messages by POST are not counted: the application has to.
    pub fn max_message_rate(mut self, rate: u32) -> Self {
        self.config.max_message_rate = rate;
        self
    }

    /// Sets how long a message may take to come in. Default: 10 s.
    pub fn message_timeout(mut self, deadline: Duration) -> Self {
        self.config.message_timeout = deadline;
        self
    }
}
