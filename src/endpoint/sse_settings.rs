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

    /// Sets whether streams of server-sent events have blocks of the endpoint's own beside those of events. Default: `true`.
    /// A request with `?controls=off` turns them off for its stream, and cannot turn them on.
    ///
    /// Set it to `false` for readers that parse the data of every block, such as `useChat` and clients of AI answers. A stream
    /// then consists of comments and blocks of events, with `id:` and `retry:`. In place of a control block:
    ///
    /// | occasion | the client gets |
    /// |---|---|
    /// | a gap before the first event | 410 with the [gap object](crate::transport#objects) as its body |
    /// | a later gap | the stream breaks off |
    /// | a gap that a snapshot replaces | the snapshot alone |
    /// | a limit is reached, or the endpoint drains, at the request | 503 with `Retry-After` |
    /// | a drain of an open stream | the stream breaks off |
    /// | the end of a topic | nothing |
    /// | the end of the last topic | a clean end; the stream breaks off if one of its topics [failed](crate::EndReason::Failed) |
    /// | a return after the end, with the cursor of the last event, in the header or the query | 204 |
    ///
    /// The head of an answer does not wait for an event. If the client has missed events, it waits for the publisher's
    /// [`snapshot`](crate::Publisher::snapshot), at most [`subscribe_timeout`](Self::subscribe_timeout).
    ///
    /// The events of a source without cursors, such as [`from_stream`](crate::subscriber::from_stream), have no id, and there is
    /// no block that has the id of their end. An `EventSource` that returns starts such a source again: use a
    /// [run](crate::runs), or a client that does not return.
    ///
    /// A client whose connection is cut before its first event has no id, so it misses the events until it reconnects. See
    /// [`SseEncoder::controls`](crate::transport::sse::SseEncoder::controls).
    ///
    /// ```
    /// use tidings::{EndpointBuilder, LocalHub};
    ///
    /// let answers = EndpointBuilder::public(&LocalHub::new(), ["answers"]).sse_controls(false).build();
    /// ```
    pub fn sse_controls(mut self, controls: bool) -> Self {
        self.config.sse_controls = controls;
        self
    }
}
