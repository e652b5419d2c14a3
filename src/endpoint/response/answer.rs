use std::future::Future;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};

use super::headers::{self, JSON, TIDINGS_RETRY_MS, number};
use crate::contract::Transport;
use crate::endpoint::body::Body;
use crate::endpoint::config::Config;
use crate::endpoint::ended_source;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::request::accept::LinesType;
use crate::endpoint::request::negotiate::SubscribeParams;
use crate::model::Cursor;
use crate::transport::object::{write_cursor, write_string};

/// Part of an answer that waits for the application or for an event.
pub(crate) type Work = Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send>>;

/// Output of [`Work`].
#[allow(clippy::large_enum_variant, reason = "it is passed on at once")]
pub(crate) enum Answer {
    Now(Response<Body>),
    /// The client is admitted, and its answer comes from this future. It is a future of its own, so that a held poll
    /// does not keep the memory that its admission took.
    Held(Work),
}

/// Returns the status of a refusal with the body `{"error":"…"}`.
pub(crate) fn refusal(refusal: Refusal) -> Response<Body> {
    text(refusal, None).map(Body::whole)
}

/// Returns the status of a refusal. The body of a 503 repeats the client's cursor: `{"error":"…","cursor":"7.a3"}`.
pub(crate) fn refusal_at(cursor: Option<Cursor>, refusal: Refusal) -> Response<Body> {
    let cursor = cursor.filter(|_| refusal.retry_after.is_some());
    text(refusal, cursor).map(Body::whole)
}

/// Returns the status of a refusal with its JSON text.
pub(crate) fn text(refusal: Refusal, cursor: Option<Cursor>) -> Response<Bytes> {
    let mut body = BytesMut::from(&b"{\"error\":"[..]);
    write_string(refusal.message.as_bytes(), &mut body);
    if cursor.is_some() {
        body.extend_from_slice(b",\"cursor\":");
        write_cursor(cursor, &mut body);
    }
    body.extend_from_slice(b"}");
    let mut response = Response::new(body.freeze());
    *response.status_mut() = refusal.status;
    let headers = response.headers_mut();
    headers.extend(refusal.headers);
    headers.insert(CONTENT_TYPE, JSON);
    if let Some(retry) = refusal.retry_after {
        headers.insert(TIDINGS_RETRY_MS, number(retry.as_millis()));
    }
    response
}

/// Returns the answer to a HEAD: the head that a GET would get, and no body.
pub(crate) fn head(config: &Config, params: &SubscribeParams, parts: &Parts) -> Response<Body> {
    let has_everything = params.transport == Transport::Sse && ended_source::is_cursor_of(params.start);
    if has_everything && ended_source::is_no_content(config, params, ended_source::has_event_id(&parts.headers)) {
        return no_content();
    }
    ok_response(params.transport, params.lines, parts.version, Body::empty())
}

/// Returns a 204: an `EventSource` that gets it does not reconnect.
pub(crate) fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Returns a 200 with the content type of a transport.
pub(crate) fn ok_response(transport: Transport, lines: LinesType, version: Version, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let is_stream = matches!(transport, Transport::Sse | Transport::Chunked);
    // The HTTP stack keeps the map for as long as the connection.
    *response.headers_mut() =
        HeaderMap::with_capacity(if is_stream { headers::STREAM_CAPACITY } else { headers::CAPACITY });
    response.headers_mut().insert(CONTENT_TYPE, content_type(transport, lines));
    if is_stream {
        headers::add_stream_headers(&mut response, version);
    }
    response
}

fn content_type(transport: Transport, lines: LinesType) -> HeaderValue {
    match transport {
        Transport::Sse => HeaderValue::from_static("text/event-stream"),
        Transport::Chunked => lines.content_type(),
        Transport::ShortPoll | Transport::LongPoll | Transport::WebSocket => JSON,
    }
}
