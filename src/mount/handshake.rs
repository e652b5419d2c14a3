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
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|item| item.eq_ignore_ascii_case(token))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

#[cfg(feature = "websocket")]
pub(super) use checked::{Handshake, check};

#[cfg(feature = "websocket")]
mod checked {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use http::header::{
        CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING,
    };
    use http::{HeaderValue, Response, StatusCode};
    use tungstenite::handshake::derive_accept_key;

    use super::*;
    use crate::mount::Body;
    use crate::mount::refusal::Refusal;

    /// The one subprotocol: event objects and control objects.
    const V1: &str = "tidings.v1";

    /// A handshake that is in order, and how it is accepted.
    #[derive(Debug)]
    pub(in crate::mount) struct Handshake {
        /// Whether the client speaks `tidings.v1`.
        pub(in crate::mount) v1: bool,
        /// HTTP/1.1's answer to the key; an extended CONNECT has none.
        accept: Option<HeaderValue>,
    }

    /// Checks a handshake (RFC 6455 §4.2.1, RFC 8441 §5). No extension is taken up.
    pub(in crate::mount) fn check(parts: &Parts) -> Result<Handshake, Refusal> {
        let accept = match parts.method {
            Method::CONNECT => {
                version(parts, |why| {
                    Refusal::bad(why).with(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
                })?;
                None
            }
            _ => Some(check_upgrade(parts)?),
        };
        Ok(Handshake { v1: subprotocol(&parts.headers)?, accept })
    }

    fn check_upgrade(parts: &Parts) -> Result<HeaderValue, Refusal> {
        let headers = &parts.headers;
        if parts.version > Version::HTTP_11 {
            return Err(Refusal::bad("on HTTP/2 a WebSocket begins with CONNECT"));
        }
        if parts.version != Version::HTTP_11 || !has_token(headers, &UPGRADE, "websocket") {
            return Err(Refusal::upgrade("no `Upgrade: websocket` on HTTP/1.1: does a proxy take it away?"));
        }
        if !has_token(headers, &CONNECTION, "upgrade") {
            return Err(Refusal::bad("no `Connection: Upgrade`: does a proxy take it away?"));
        }
        version(parts, Refusal::upgrade)?;
        let no_body = headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0");
        if !no_body || headers.contains_key(TRANSFER_ENCODING) {
            return Err(Refusal::bad("a WebSocket handshake has no body"));
        }
        let bad_key = || Refusal::bad("Sec-WebSocket-Key is 16 bytes in base64, once");
        let key = one(headers, &SEC_WEBSOCKET_KEY).ok_or_else(bad_key)?.as_bytes();
        match STANDARD.decode(key) {
            Ok(bytes) if bytes.len() == 16 => {}
            _ => return Err(bad_key()),
        }
        HeaderValue::try_from(derive_accept_key(key)).map_err(|_| bad_key())
    }

    fn version(parts: &Parts, refuse: impl FnOnce(&'static str) -> Refusal) -> Result<(), Refusal> {
        match one(&parts.headers, &SEC_WEBSOCKET_VERSION) {
            Some(version) if version == "13" => Ok(()),
            _ => Err(refuse("Sec-WebSocket-Version is 13")),
        }
    }

    /// A client that asks for a subprotocol and gets another, or none, gives up without a word; so it is told.
    fn subprotocol(headers: &HeaderMap) -> Result<bool, Refusal> {
        let mut asked = tokens(headers, &SEC_WEBSOCKET_PROTOCOL).peekable();
        if asked.peek().is_none() {
            return Ok(false);
        }
        match asked.any(|protocol| protocol == V1) {
            true => Ok(true),
            false => Err(Refusal::bad("the subprotocol here is tidings.v1, or none")),
        }
    }

    fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
        let mut lines = headers.get_all(name).iter();
        lines.next().filter(|_| lines.next().is_none())
    }

    impl Handshake {
        /// 101 to an upgrade, 200 to a CONNECT.
        pub(in crate::mount) fn response(&self) -> Response<Body> {
            let mut response = Response::new(Body::empty());
            let headers = response.headers_mut();
            if self.v1 {
                headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(V1));
            }
            if let Some(accept) = &self.accept {
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(SEC_WEBSOCKET_ACCEPT, accept.clone());
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            }
            response
        }
    }
}
