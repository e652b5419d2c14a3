use std::future::Future;
use std::pin::Pin;

use super::poll::Poller;
use super::stream::Listener;
use super::websocket::Socket;
use super::{Blocks, Connection, Frames, Lines, Seen};

/// A future of a test's.
pub(crate) type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One client. Dropping it breaks it off, whatever it does.
pub(crate) trait Client: Send {
    /// Returns the next thing that it sees; as long as there is nothing, it waits.
    fn see(&mut self) -> Waiting<'_, Result<Seen, String>>;

    /// Returns the cursor with which it would resume, if it knows one.
    fn cursor(&self) -> Option<&str>;

    /// Whether the next thing to see takes a request of its own.
    fn must_ask(&self) -> bool {
        false
    }
}

/// How a client gets its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    ShortPoll,
    LongPoll,
    Chunked,
    Sse,
    /// With event objects as data.
    SseObjects,
    /// The subprotocol `tidings.v1`.
    WebSocket,
    /// Frames without cursors.
    RawWebSocket,
}

impl Speaks {
    pub(crate) const ALL: [Self; 7] = [
        Self::ShortPoll,
        Self::LongPoll,
        Self::Chunked,
        Self::Sse,
        Self::SseObjects,
        Self::WebSocket,
        Self::RawWebSocket,
    ];

    pub(crate) fn name(self) -> &'static str {
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
}

/// A client of the endpoint at `/events`. What is published after this returns it sees, and from a cursor on, what is
/// after that.
pub(crate) async fn connect(
    connection: Connection,
    speaks: Speaks,
    topics: &[&str],
    cursor: Option<&str>,
) -> Result<Box<dyn Client>, String> {
    Ok(match speaks {
        Speaks::ShortPoll => Box::new(Poller::open(connection, topics, cursor, None).await?),
        Speaks::LongPoll => Box::new(Poller::open(connection, topics, cursor, Some(20)).await?),
        Speaks::Chunked => {
            let request = connection.request("GET", &target(topics, &[], cursor));
            let request = request.header("accept", "application/x-ndjson");
            Box::new(Listener::open(connection, request, "application/x-ndjson", cursor, Lines::default()).await?)
        }
        Speaks::Sse | Speaks::SseObjects => {
            let (wire, query) = match speaks {
                Speaks::Sse => (Blocks::plain(), None),
                _ => (Blocks::objects(), Some(("format", "object"))),
            };
            let request = connection.request("GET", &target(topics, query.as_slice(), None));
            let request = request.header("accept", "text/event-stream");
            let request = cursor.into_iter().fold(request, |request, cursor| request.header("last-event-id", cursor));
            Box::new(Listener::open(connection, request, "text/event-stream", cursor, wire).await?)
        }
        Speaks::WebSocket => {
            let target = target(topics, &[], cursor);
            Box::new(Socket::open(connection, &target, Some("tidings.v1"), cursor, Frames::objects()).await?)
        }
        Speaks::RawWebSocket => {
            Box::new(Socket::open(connection, &target(topics, &[], cursor), None, None, Frames::raw()).await?)
        }
    })
}

pub(super) fn target(topics: &[&str], query: &[(&str, &str)], cursor: Option<&str>) -> String {
    let mut written = form_urlencoded::Serializer::new("/events?".to_owned());
    written.extend_pairs(topics.iter().map(|topic| ("topic", topic)));
    written.extend_pairs(query);
    written.extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
    written.finish()
}
