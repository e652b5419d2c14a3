/// How a client gets its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// One request, answered at once. The reply has the cursor.
    ShortPoll,
    /// One request, answered when there is something. The reply has the cursor; a first poll, without one, is held for at most
    /// 1 s.
    LongPoll,
    /// One response of one JSON line an event. Each line has the cursor, the first one too.
    Chunked,
    /// Server-sent events. Each block has the cursor as its id, the first one too.
    Sse,
    /// A WebSocket. Its messages have cursors under the subprotocol `tidings.v1` only: a client of raw frames loses what is
    /// published between two connections, and is not told.
    WebSocket,
}

impl Transport {
    /// Every transport, in the order of the enum.
    pub const ALL: [Self; 5] = [Self::ShortPoll, Self::LongPoll, Self::Chunked, Self::Sse, Self::WebSocket];

    /// The name in `?transport=`: `short-poll`, `long-poll`, `chunked`, `sse`, `websocket`.
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

    /// The transport of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.as_str() == name)
    }
}
