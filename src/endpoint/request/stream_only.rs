//! Transport of a request whose only answer is a stream: a POST, or another method with a body.

use std::time::Duration;

use http::Method;

use super::head::RequestHead;
use super::transports::Transports;
use crate::contract::Transport;
use crate::endpoint::reject::refusal::Refusal;

/// Returns whether only a stream answers this method. A GET and a CONNECT have all transports, a HEAD the head of a GET,
/// and OPTIONS has none.
#[inline]
pub(crate) fn is_for(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::CONNECT | Method::OPTIONS)
}

/// Chooses the stream by `?transport=`, else by `Accept`. It is SSE if `Accept` names neither stream.
///
/// # Errors
///
/// Returns a 400 for a WebSocket handshake, for a poll, and for a wait, which asks for one. Returns a 500 if the endpoint
/// offers no stream.
#[cold]
pub(crate) fn choose(
    head: &RequestHead<'_>,
    named: Option<Transport>,
    wait: Option<Duration>,
    offered: Transports,
) -> Result<Transport, Refusal> {
    if head.upgrades || head.has_key {
        return Err(Refusal::bad("a WebSocket handshake must be a GET"));
    }
    if let Some(named) = named.filter(|named| !matches!(named, Transport::Sse | Transport::Chunked)) {
        let name = named.as_str();
        return Err(Refusal::bad(format!("transport {name} answers only a GET: use sse or chunked, or none")));
    }
    if wait.is_some() {
        return Err(Refusal::bad(WAIT));
    }
    let streams = offered.streams();
    match named {
        Some(named) if streams.has(named) => Ok(named),
        Some(named) => Err(Refusal::not_offered(named)),
        None => {
            let chosen = head.accepted.choose(streams).or_else(|| streams.fallback());
            chosen.ok_or_else(|| Refusal::internal(NO_STREAM))
        }
    }
}

/// Error text for a wait.
const WAIT: &str = "a wait asks for a poll, which answers only a GET: remove `?wait=` and `Prefer: wait`";

/// Error text for an endpoint without a stream.
const NO_STREAM: &str = "this endpoint offers no stream, and only a stream answers this method: add sse or chunked to `EndpointBuilder::transports`";
