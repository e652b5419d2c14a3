use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};

use crate::endpoint::body::Body;
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::request::asked::has_token;
use crate::transport::websocket::{Subprotocol, websocket_accept};

/// A handshake that is in order, and how it is accepted.
#[derive(Debug)]
pub(crate) struct Handshake {
    pub(crate) subprotocol: Subprotocol,
    /// HTTP/1.1's answer to the key; an extended CONNECT has none.
    accept: Option<HeaderValue>,
}

impl Handshake {
    /// Checks a handshake (RFC 6455 §4.2.1, RFC 8441 §5). No extension is taken up.
    pub(crate) fn check(parts: &Parts) -> Result<Self, Refusal> {
        let accept = match parts.method {
            Method::CONNECT => {
                check_version(parts, |why| {
                    Refusal::bad(why).with(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
                })?;
                None
            }
            _ => Some(check_upgrade(parts)?),
        };
        // A field that is not ASCII offers something, which is no subprotocol that is known here.
        let offers = parts.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().map(|offer| offer.to_str().unwrap_or("?"));
        let subprotocol = Subprotocol::choose(offers);
        let subprotocol = subprotocol.ok_or_else(|| Refusal::bad("the subprotocol here is tidings.v1, or none"))?;
        Ok(Self { subprotocol, accept })
    }

    /// 101 to an upgrade, 200 to a CONNECT.
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
        return Err(Refusal::bad("on HTTP/2 a WebSocket begins with CONNECT"));
    }
    if parts.version != Version::HTTP_11 || !has_token(headers, &UPGRADE, "websocket") {
        return Err(Refusal::upgrade("no `Upgrade: websocket` on HTTP/1.1: does a proxy take it away?"));
    }
    if !has_token(headers, &CONNECTION, "upgrade") {
        return Err(Refusal::bad("no `Connection: Upgrade`: does a proxy take it away?"));
    }
    check_version(parts, Refusal::upgrade)?;
    // What follows the head is the first frame, and must not be taken for anything else.
    let bodiless = headers.get_all(CONTENT_LENGTH).iter().all(|length| length == "0");
    if !bodiless || headers.contains_key(TRANSFER_ENCODING) {
        return Err(Refusal::bad("a WebSocket handshake has no body"));
    }
    one(headers, &SEC_WEBSOCKET_KEY)
        .and_then(|key| HeaderValue::try_from(websocket_accept(key.as_bytes())?).ok())
        .ok_or_else(|| Refusal::bad("Sec-WebSocket-Key is 16 bytes in base64, once"))
}

fn check_version(parts: &Parts, refuse: impl FnOnce(&'static str) -> Refusal) -> Result<(), Refusal> {
    match one(&parts.headers, &SEC_WEBSOCKET_VERSION) {
        Some(version) if version == "13" => Ok(()),
        _ => Err(refuse("Sec-WebSocket-Version is 13")),
    }
}

fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}
