use super::poll::PollClient;
use super::stream::StreamClient;
use super::websocket::WebSocketClient;
use crate::conformance::clients::{BoxFuture, Client, ClientKind, NdjsonWire, Seen, SseWire, WebSocketWire};
use crate::conformance::run::{AdapterUnderTest, CaseHub};
use crate::transport::chunked::ChunkedStream;
use crate::transport::sse::SseEncoder;
use crate::transport::websocket::Subprotocol;

/// Returns the adapters of this crate, each with each of its formats.
#[must_use]
pub fn own_adapters() -> Vec<Box<dyn AdapterUnderTest>> {
    ClientKind::ALL.map(|kind| Box::new(OwnAdapter(kind)) as Box<dyn AdapterUnderTest>).into()
}

/// Adapter of this crate.
struct OwnAdapter(ClientKind);

impl OwnAdapter {
    async fn client(&self, hub: &CaseHub, topics: &[&str], cursor: Option<&str>) -> Result<Box<dyn Client>, String> {
        let timer = hub.timer();
        let subscriber = || hub.subscribe_after(topics, cursor).map_err(|error| error.to_string());
        Ok(match self.0 {
            ClientKind::ShortPoll => Box::new(PollClient::open(hub.clone(), topics, cursor, false).await?),
            ClientKind::LongPoll => Box::new(PollClient::open(hub.clone(), topics, cursor, true).await?),
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

impl AdapterUnderTest for OwnAdapter {
    fn name(&self) -> String {
        self.0.name().into()
    }

    fn connect<'a>(
        &'a self,
        hub: &'a CaseHub,
        topics: &'a [&'a str],
        cursor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Box<dyn Client>, String>> {
        Box::pin(async move { self.client(hub, topics, cursor).await })
    }

    fn shows(&self, seen: Seen) -> Seen {
        self.0.shows(seen)
    }

    fn resumes(&self) -> bool {
        self.0.resumes()
    }

    fn is_live(&self) -> bool {
        self.0.is_live()
    }
}
