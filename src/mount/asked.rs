use http::header::UPGRADE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Version};

/// Whether this is a WebSocket handshake, good or bad: an HTTP/1.1 GET that asks to upgrade, or one with a handshake's
/// key, from which a proxy took the `Upgrade`; or an extended CONNECT (RFC 8441).
pub(super) fn is_asked(parts: &Parts) -> bool {
    match parts.method {
        Method::GET => names_websocket(parts) || parts.headers.contains_key(http::header::SEC_WEBSOCKET_KEY),
        Method::CONNECT => extended_protocol(parts) == Some("websocket"),
        _ => false,
    }
}

/// Whether `Upgrade` names it. HTTP/1.0 has no upgrade (RFC 9110 §7.8).
pub(super) fn names_websocket(parts: &Parts) -> bool {
    parts.version == Version::HTTP_11 && has_token(&parts.headers, &UPGRADE, "websocket")
}

/// What an extended CONNECT is for; a plain one is for a tunnel.
#[cfg(feature = "http2")]
pub(super) fn extended_protocol(parts: &Parts) -> Option<&str> {
    parts.extensions.get::<hyper::ext::Protocol>().map(hyper::ext::Protocol::as_str)
}

#[cfg(not(feature = "http2"))]
pub(super) fn extended_protocol(_: &Parts) -> Option<&str> {
    None
}

/// Whether a list header, on one line or several, has a token, in any case.
pub(super) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
}
