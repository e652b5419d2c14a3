use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, Version};

use super::headers::{self, JSON, TIDINGS_RETRY_MS, number};
use crate::contract::Transport;
use crate::endpoint::body::Body;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::request::accept::LinesType;
use crate::endpoint::request::negotiate::Wanted;
use crate::model::Cursor;
use crate::transport::object::{write_cursor, write_string};

/// Returns a refusal as its status, with `{"error":"…"}`.
pub(crate) fn refusal(refusal: Refusal) -> Response<Body> {
    text(refusal, None).map(Body::whole)
}

/// Returns a refusal. A 503 repeats the client's cursor in its body:
/// `{"error":"…","cursor":"7.3"}`.
pub(crate) fn refusal_at(cursor: Option<Cursor>, refusal: Refusal) -> Response<Body> {
    let cursor = cursor.filter(|_| refusal.later.is_some());
    text(refusal, cursor).map(Body::whole)
}

/// Returns the same response with its text as the body.
pub(crate) fn text(refusal: Refusal, cursor: Option<Cursor>) -> Response<Bytes> {
    let mut body = BytesMut::from(&b"{\"error\":"[..]);
    write_string(refusal.why.as_bytes(), &mut body);
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
    if let Some(retry) = refusal.later {
        headers.insert(TIDINGS_RETRY_MS, number(retry.as_millis()));
    }
    response
}

/// Returns the head that a GET of this request would get, and no body.
pub(crate) fn head(wanted: &Wanted, version: Version) -> Response<Body> {
    ok_response(wanted.transport, wanted.lines, version, Body::empty())
}

/// Returns a 200 with this transport's content type.
pub(crate) fn ok_response(transport: Transport, lines: LinesType, version: Version, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let is_stream = matches!(transport, Transport::Sse | Transport::Chunked);
    // The HTTP stack keeps the map for as long as the connection.
    *response.headers_mut() = HeaderMap::with_capacity(if is_stream { headers::FEW } else { headers::MOST });
    response.headers_mut().insert(CONTENT_TYPE, content_type(transport, lines));
    if is_stream {
        headers::close_after_stream(&mut response, version);
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
