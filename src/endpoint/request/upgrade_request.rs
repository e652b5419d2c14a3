use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::head::RequestHead;

/// Returns whether a request is a WebSocket handshake, valid or not: a GET with `Upgrade: websocket` on HTTP/1.1, a GET
/// with `Sec-WebSocket-Key` (a proxy may have removed the `Upgrade`), or an extended CONNECT (RFC 8441).
pub(crate) fn is_upgrade_request(parts: &Parts, head: &RequestHead<'_>) -> bool {
    match parts.method {
        Method::GET => head.upgrades || head.has_key,
        Method::CONNECT => extended_protocol(parts) == Some("websocket"),
        _ => false,
    }
}

/// Returns the protocol of an extended CONNECT. A plain CONNECT, which opens a tunnel, has none.
#[cfg(feature = "http2")]
pub(crate) fn extended_protocol(parts: &Parts) -> Option<&str> {
    parts.extensions.get::<hyper::ext::Protocol>().map(hyper::ext::Protocol::as_str)
}

#[cfg(not(feature = "http2"))]
pub(crate) fn extended_protocol(_: &Parts) -> Option<&str> {
    None
}

/// Returns whether a list header, on one line or several, has this token, in any case.
pub(crate) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|line| has_item(line, token))
}

/// Returns whether one line of a list header has this token, in any case.
pub(crate) fn has_item(line: &HeaderValue, token: &str) -> bool {
    line.to_str().is_ok_and(|line| line.split(',').any(|item| item.trim().eq_ignore_ascii_case(token)))
}
