use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};

use crate::endpoint::body::Body;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::request::upgrade_request::has_token;
use crate::transport::websocket::{Subprotocol, websocket_accept};

/// Valid handshake, with the parameters of its answer.
#[derive(Debug)]
pub(crate) struct Handshake {
    pub(crate) subprotocol: Subprotocol,
    /// Value of `Sec-WebSocket-Accept` on HTTP/1.1. `None` for an extended CONNECT.
    accept: Option<HeaderValue>,
}

impl Handshake {
    /// Checks a handshake (RFC 6455 §4.2.1, RFC 8441 §5). Extensions that it offers are ignored.
    pub(crate) fn check(parts: &Parts) -> Result<Self, Refusal> {
        let accept = match parts.method {
            Method::CONNECT => {
                check_version(parts, |why| {
                    Refusal::bad(why).with_header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
                })?;
                None
            }
            _ => Some(check_upgrade(parts)?),
        };
        // A field that is not ASCII counts as an offer of an unknown subprotocol.
        let offers = parts.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().map(|offer| offer.to_str().unwrap_or("?"));
        let subprotocol = Subprotocol::choose(offers);
        let subprotocol = subprotocol.ok_or_else(|| Refusal::bad("unknown subprotocol: use tidings.v1, or none"))?;
        Ok(Self { subprotocol, accept })
    }

    /// Returns the answer: 101 to an upgrade, 200 to a CONNECT.
    pub(crate) fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        if let Some(name) = self.subprotocol.name() {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
        }
        if let Some(accept) = self.accept {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        }
        response
    }
}

fn check_upgrade(parts: &Parts) -> Result<HeaderValue, Refusal> {
    let headers = &parts.headers;
    if parts.version > Version::HTTP_11 {
        return Err(Refusal::bad("a WebSocket over HTTP/2 needs an extended CONNECT (RFC 8441)"));
    }
    if parts.version != Version::HTTP_11 || !has_token(headers, &UPGRADE, "websocket") {
        return Err(Refusal::upgrade("`Upgrade: websocket` on HTTP/1.1 is missing: check whether a proxy removes it"));
    }
    if !has_token(headers, &CONNECTION, "upgrade") {
        return Err(Refusal::bad("`Connection: Upgrade` is missing: check whether a proxy removes it"));
    }
    check_version(parts, Refusal::upgrade)?;
    // The bytes after the head are the first frame, so there must be no body.
    let bodiless = headers.get_all(CONTENT_LENGTH).iter().all(|length| length == "0");
    if !bodiless || headers.contains_key(TRANSFER_ENCODING) {
        return Err(Refusal::bad("a WebSocket handshake must have no body"));
    }
    one(headers, &SEC_WEBSOCKET_KEY)
        .and_then(|key| HeaderValue::try_from(websocket_accept(key.as_bytes())?).ok())
        .ok_or_else(|| Refusal::bad("Sec-WebSocket-Key is missing or malformed: send 16 bytes in base64, once"))
}

fn check_version(parts: &Parts, refuse: impl FnOnce(&'static str) -> Refusal) -> Result<(), Refusal> {
    match one(&parts.headers, &SEC_WEBSOCKET_VERSION) {
        Some(version) if version == "13" => Ok(()),
        _ => Err(refuse("Sec-WebSocket-Version is missing or not supported: send 13")),
    }
}

/// Returns the value of a header that is there exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}
