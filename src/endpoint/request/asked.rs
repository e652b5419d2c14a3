use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::head::Head;

/// Whether this is a WebSocket handshake, good or bad: an HTTP/1.1 GET that asks to upgrade, or one with a handshake's
/// key, from which a proxy took the `Upgrade`; or an extended CONNECT (RFC 8441).
pub(crate) fn is_asked(parts: &Parts, head: &Head<'_>) -> bool {
    match parts.method {
        Method::GET => head.upgrades || head.has_key,
        Method::CONNECT => extended_protocol(parts) == Some("websocket"),
        _ => false,
    }
}

/// Returns the protocol of an extended CONNECT; a plain CONNECT, which is for a tunnel, has none.
#[cfg(feature = "http2")]
pub(crate) fn extended_protocol(parts: &Parts) -> Option<&str> {
    parts.extensions.get::<hyper::ext::Protocol>().map(hyper::ext::Protocol::as_str)
}

#[cfg(not(feature = "http2"))]
pub(crate) fn extended_protocol(_: &Parts) -> Option<&str> {
    None
}

/// Whether a list header, on one line or several, has a token, in any case.
pub(crate) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers.get_all(name).iter().any(|line| has_item(line, token))
}

/// Whether one line of it has.
pub(crate) fn has_item(line: &HeaderValue, token: &str) -> bool {
    line.to_str().is_ok_and(|line| line.split(',').any(|item| item.trim().eq_ignore_ascii_case(token)))
}
