use std::sync::Arc;

use tidings::subscriber::BoxSubscriber;
use tidings::transport::chunked::ChunkedStream;
use tidings::transport::sse::SseEncoder;
use tidings::transport::websocket::Subprotocol;
use tidings::{Cursor, Start, Subscribe, SubscribeError};

use super::poll::PollClient;
use super::stream::StreamClient;
use super::websocket::WebSocketClient;
use crate::clients::{BoxFuture, Client, ClientKind, NdjsonWire, Seen, SseWire, WebSocketWire};
use crate::conformance::row::Row;
use crate::conformance::test_hub::TestHub;
use crate::support::VirtualTimer;

/// Returns a row for each adapter and each of its formats.
pub(crate) fn rows(hub: &Arc<TestHub>, timer: &VirtualTimer) -> Vec<Box<dyn Row>> {
    let row = |kind| Box::new(AdapterRow { kind, hub: hub.clone(), timer: timer.clone() }) as Box<dyn Row>;
    ClientKind::ALL.map(row).into()
}

struct AdapterRow {
    kind: ClientKind,
    hub: Arc<TestHub>,
    timer: VirtualTimer,
}

impl AdapterRow {
    fn client(&self, topics: &[&str], cursor: Option<&str>) -> Result<Box<dyn Client>, String> {
        let (hub, timer) = (&self.hub, &self.timer);
        let subscriber = || subscribe(hub, topics, cursor).map_err(|error| error.to_string());
        Ok(match self.kind {
            ClientKind::ShortPoll => Box::new(PollClient::open(hub.clone(), timer.clone(), topics, cursor, false)?),
            ClientKind::LongPoll => Box::new(PollClient::open(hub.clone(), timer.clone(), topics, cursor, true)?),
            ClientKind::Chunked => {
                Box::new(StreamClient::open(ChunkedStream::new(subscriber()?, timer), NdjsonWire::default(), cursor)?)
            }
            ClientKind::Sse => {
                Box::new(StreamClient::open(SseEncoder::new(subscriber()?, timer), SseWire::plain(), cursor)?)
            }
            ClientKind::SseObjects => {
                let stream = SseEncoder::new(subscriber()?, timer).objects(true);
                Box::new(StreamClient::open(stream, SseWire::objects(), cursor)?)
            }
            ClientKind::WebSocket => Box::new(WebSocketClient::open(
                subscriber()?,
                timer,
                Subprotocol::TidingsV1,
                WebSocketWire::objects(),
                cursor,
            )?),
            ClientKind::RawWebSocket => {
                Box::new(WebSocketClient::open(subscriber()?, timer, Subprotocol::Raw, WebSocketWire::raw(), None)?)
            }
        })
    }
}

impl Row for AdapterRow {
    fn name(&self) -> String {
        self.kind.name().into()
    }

    fn connect<'a>(
        &'a self,
        topics: &'a [&'a str],
        cursor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Box<dyn Client>, String>> {
        Box::pin(async move { self.client(topics, cursor) })
    }

    fn shows(&self, seen: Seen) -> Seen {
        self.kind.shows(seen)
    }

    fn resumes(&self) -> bool {
        self.kind.resumes()
    }

    fn is_live(&self) -> bool {
        self.kind.is_live()
    }
}

/// Subscribes from the cursor of a client.
pub(super) fn subscribe(hub: &TestHub, topics: &[&str], cursor: Option<&str>) -> Result<BoxSubscriber, SubscribeError> {
    let start = match cursor.map(str::parse::<Cursor>) {
        None => Start::Now,
        Some(Ok(cursor)) => Start::After(cursor),
        Some(Err(_)) => Start::Unreadable,
    };
    hub.subscribe(Subscribe::topics(topics.iter().copied()).start(start))
}
