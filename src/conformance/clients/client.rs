use std::future::Future;
use std::pin::Pin;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{ClientEnd, Seen, SeenData};

/// Boxed future that borrows.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Client of an adapter. A drop closes its connection.
pub trait Client: Send {
    /// Returns the next item. Waits until there is one.
    fn next_item(&mut self) -> BoxFuture<'_, Result<Seen, String>>;

    /// Returns the cursor to resume with, if the client has one: that of the last item, or a later one.
    fn cursor(&self) -> Option<&str>;

    /// Returns whether the next item takes another request. Default: `false`.
    fn needs_request(&self) -> bool {
        false
    }
}

/// Transport and format of a client of this crate's adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "tests have a client for each")]
pub enum ClientKind {
    /// Short polls.
    ShortPoll,
    /// Long polls.
    LongPoll,
    /// An NDJSON stream.
    Chunked,
    /// Server-sent events with payloads as data.
    Sse,
    /// Server-sent events with event objects as data.
    SseObjects,
    /// WebSocket with the subprotocol `tidings.v1`.
    WebSocket,
    /// WebSocket without a subprotocol: payloads without cursors.
    RawWebSocket,
}

impl ClientKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::ShortPoll,
        Self::LongPoll,
        Self::Chunked,
        Self::Sse,
        Self::SseObjects,
        Self::WebSocket,
        Self::RawWebSocket,
    ];

    /// Returns the name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ShortPoll => "short poll",
            Self::LongPoll => "long poll",
            Self::Chunked => "chunked",
            Self::Sse => "SSE",
            Self::SseObjects => "SSE objects",
            Self::WebSocket => "WebSocket",
            Self::RawWebSocket => "raw WebSocket",
        }
    }

    /// Returns the part of an item that the wire format can express.
    #[must_use]
    pub fn shows(self, seen: Seen) -> Seen {
        match (self, seen) {
            (Self::Sse, Seen::Event(mut event)) if event.data != SeenData::Removed => {
                (event.topic, event.key) = (None, None);
                event.data = match event.data {
                    SeenData::Removed => SeenData::Removed,
                    SeenData::Text(text) => SeenData::Text(text.replace("\r\n", "\n").replace('\r', "\n")),
                    SeenData::Json(json) => SeenData::Text(json.to_string()),
                    SeenData::Binary(bytes) => SeenData::Text(STANDARD.encode(bytes)),
                };
                Seen::Event(event)
            }
            (Self::RawWebSocket, Seen::Event(mut event)) => {
                (event.cursor, event.topic, event.key, event.name) = (None, None, None, None);
                if let SeenData::Json(json) = &event.data {
                    event.data = SeenData::Text(json.to_string());
                }
                Seen::Event(event)
            }
            (Self::RawWebSocket, Seen::Gap(_)) => Seen::End(ClientEnd::Gap),
            (_, Seen::End(ClientEnd::AllEnded)) if self.is_live() => Seen::End(ClientEnd::Finished),
            (_, seen) => seen,
        }
    }

    /// Returns whether the clients have cursors.
    #[must_use]
    pub fn resumes(self) -> bool {
        self != Self::RawWebSocket
    }

    /// Returns whether the clients stay subscribed between reads.
    #[must_use]
    pub fn is_live(self) -> bool {
        !matches!(self, Self::ShortPoll | Self::LongPoll)
    }
}
