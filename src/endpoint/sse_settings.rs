use super::builder::EndpointBuilder;

/// Settings of server-sent events.
impl EndpointBuilder {
    /// Sets whether a stream of server-sent events begins with a block `event: tidings.hello`. The block has the
    /// client's first id and its time to reconnect. Default: `true`.
    ///
    /// A client that is cut off before its first event resumes from that id. Without the block it loses the events that
    /// are published until it reconnects, without a gap.
    ///
    /// An `EventSource` delivers the block only to listeners of its name. Set it to `false` for clients that show or
    /// parse every block alike. A drain then breaks a stream off without the block `event: tidings.retry`, too. Streams
    /// with `?format=object` always begin with the block. See
    /// [`SseEncoder::hello`](crate::transport::sse::SseEncoder::hello).
    pub fn sse_hello(mut self, hello: bool) -> Self {
        self.config.sse_hello = hello;
        self
    }
}
