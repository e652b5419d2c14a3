/// Transport of events to a client. `tidings::transport` has a page for each.
///
/// ```
/// use tidings::Transport;
///
/// assert_eq!(Transport::from_name("long-poll"), Some(Transport::LongPoll));
/// assert_eq!(Transport::LongPoll.as_str(), "long-poll");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// Short poll: a request that is answered at once. The reply has the cursor.
    ShortPoll,
    /// Long poll: a request that is answered as soon as there is an event. The reply has the cursor. An endpoint answers a
    /// poll without a cursor within 1 s.
    LongPoll,
    /// Chunked stream: a response with one JSON object a line. Each line has a cursor, also the first one.
    Chunked,
    /// Server-sent events. Each block has its cursor as the id, also the first one.
    Sse,
    /// WebSocket. Messages have cursors under the subprotocol `tidings.v1`. A client of raw frames has no cursor, so it
    /// misses the events between two of its connections, without a gap.
    WebSocket,
}

impl Transport {
    /// All transports, in the order of the enum.
    pub const ALL: &'static [Self] = &[Self::ShortPoll, Self::LongPoll, Self::Chunked, Self::Sse, Self::WebSocket];

    /// Returns the name in `?transport=`: `short-poll`, `long-poll`, `chunked`, `sse` or `websocket`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ShortPoll => "short-poll",
            Self::LongPoll => "long-poll",
            Self::Chunked => "chunked",
            Self::Sse => "sse",
            Self::WebSocket => "websocket",
        }
    }

    /// Returns whether the transport is a poll, short or long.
    #[cfg(feature = "http")]
    pub(crate) fn is_poll(self) -> bool {
        matches!(self, Self::ShortPoll | Self::LongPoll)
    }

    /// Returns the transport with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|transport| transport.as_str() == name)
    }
}
