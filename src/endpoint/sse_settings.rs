use super::builder::EndpointBuilder;

/// Settings of server-sent events.
impl EndpointBuilder {
    /// Sets whether a stream of server-sent events begins with a block `event: tidings.hello`, which gives the client its
    /// first id and tells it when to come back. Default: `true`.
    ///
    /// A client that is cut before its first event resumes from that id. Without the hello it loses, without a gap, what
    /// was published until it was back. An `EventSource` gives the block to listeners for its name only. Set it to `false`
    /// for clients that show or parse every block alike: a drain then breaks a stream off without the block
    /// `event: tidings.retry`, too. Streams with `?format=object` always have it. See
    /// [`SseEncoder::hello`](crate::transport::sse::SseEncoder::hello).
    pub fn sse_hello(mut self, hello: bool) -> Self {
        self.config.sse_hello = hello;
        self
    }
}
