use super::poll_client::PollClient;
use super::stream_client::StreamClient;
use super::websocket_client::WebSocketClient;
use super::{Client, ClientKind, Connection, NdjsonWire, SseWire, WebSocketWire};

/// Connects a client to the endpoint at `/events`. It gets the events after the cursor, or those published after this
/// returns.
pub(crate) async fn connect(
    connection: Connection,
    kind: ClientKind,
    topics: &[&str],
    cursor: Option<&str>,
) -> Result<Box<dyn Client>, String> {
    Ok(match kind {
        ClientKind::ShortPoll => Box::new(PollClient::open(connection, topics, cursor, None).await?),
        ClientKind::LongPoll => Box::new(PollClient::open(connection, topics, cursor, Some(20)).await?),
        ClientKind::Chunked => {
            let request = connection.request("GET", &target(topics, &[], cursor));
            let request = request.header("accept", "application/x-ndjson");
            Box::new(
                StreamClient::open(connection, request, "application/x-ndjson", cursor, NdjsonWire::default()).await?,
            )
        }
        ClientKind::Sse | ClientKind::SseObjects => {
            let (wire, query) = match kind {
                ClientKind::Sse => (SseWire::plain(), None),
                _ => (SseWire::objects(), Some(("format", "object"))),
            };
            let request = connection.request("GET", &target(topics, query.as_slice(), None));
            let request = request.header("accept", "text/event-stream");
            let request = cursor.into_iter().fold(request, |request, cursor| request.header("last-event-id", cursor));
            Box::new(StreamClient::open(connection, request, "text/event-stream", cursor, wire).await?)
        }
        ClientKind::WebSocket => {
            let target = target(topics, &[], cursor);
            Box::new(
                WebSocketClient::open(connection, &target, Some("tidings.v1"), cursor, WebSocketWire::objects())
                    .await?,
            )
        }
        ClientKind::RawWebSocket => Box::new(
            WebSocketClient::open(connection, &target(topics, &[], cursor), None, None, WebSocketWire::raw()).await?,
        ),
    })
}

pub(super) fn target(topics: &[&str], query: &[(&str, &str)], cursor: Option<&str>) -> String {
    let mut written = form_urlencoded::Serializer::new("/events?".to_owned());
    written.extend_pairs(topics.iter().map(|topic| ("topic", topic)));
    written.extend_pairs(query);
    written.extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
    written.finish()
}
