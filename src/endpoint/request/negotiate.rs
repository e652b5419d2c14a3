use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;

use super::accept::LinesType;
use super::head::RequestHead;
use super::prefer;
use super::start::{RequestedStart, StartQuery};
use super::stream_only;
use super::transports::Transports;
use super::upgrade_request;
use crate::contract::{Start, Transport};
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::request::SubscribeRequest;
use crate::endpoint::request::query::{NotUtf8, pairs};
use crate::endpoint::session::Label;
use crate::model::{Cursor, Topic};

/// Limits of the values of a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueryLimits {
    pub(crate) max_topics_per_request: usize,
    pub(crate) max_last: usize,
}

/// Parameters of a request to subscribe, from its head.
#[derive(Debug, Clone)]
pub(crate) struct SubscribeParams {
    pub(crate) transport: Transport,
    pub(crate) topics: Vec<Topic>,
    pub(crate) start: Start,
    is_start_explicit: bool,
    /// Session name, from `?session=`.
    pub(crate) name: Option<Arc<str>>,
    /// Time for which the client asks to hold the poll.
    pub(crate) wait: Option<Duration>,
    /// Set if `wait` is from a `Prefer` header, which the answer acknowledges.
    pub(crate) preferred: bool,
    /// Set by `?format=object`: event objects as SSE data.
    pub(crate) objects: bool,
    /// Set by `?heartbeat=visible`.
    pub(crate) visible: bool,
    /// Unset by `?controls=off`: SSE without control blocks.
    pub(crate) controls: bool,
    /// Content type of a chunked stream.
    pub(crate) lines: LinesType,
    /// Cursor of `If-None-Match`: an empty reply at it is a 304.
    pub(crate) held_cursor: Option<Cursor>,
}

impl SubscribeParams {
    /// Returns the request for the publisher. Takes the topics out of the parameters.
    pub(crate) fn request(&mut self, parts: Parts) -> SubscribeRequest {
        SubscribeRequest::new(parts, std::mem::take(&mut self.topics), self.start, self.transport)
    }

    /// Returns whether the client asked for a start: by a cursor, `?last=` or `?start=`, readable or not.
    pub(crate) fn has_explicit_start(&self) -> bool {
        self.is_start_explicit
    }

    /// Returns whether the request makes a session under this limit key. A short poll does only as part of a poll
    /// session.
    pub(crate) fn is_session(&self, key: Option<&Arc<str>>) -> bool {
        self.transport != Transport::ShortPoll || (key.is_some() && self.name.is_some())
    }

    /// Returns the label of the poll session that this poll belongs to. `None` without a session name or a limit key.
    pub(crate) fn poll_session_label(&self, key: Option<&Arc<str>>) -> Option<Label> {
        let name = self.name.as_ref().filter(|_| self.transport.is_poll());
        Some((key?.clone(), name?.clone()))
    }

    /// Returns the wait that was applied as a preference (RFC 7240 §3), in whole seconds. A short poll applies a wait
    /// of 0.
    pub(crate) fn applied(&self, max: Duration) -> Option<u32> {
        let wait = self.wait.filter(|_| self.preferred)?;
        match self.transport {
            Transport::LongPoll => Some(u32::try_from(wait.min(max).as_secs()).unwrap_or(u32::MAX)),
            Transport::ShortPoll => wait.is_zero().then_some(0),
            _ => None,
        }
    }
}

/// Reads the parameters of a GET, of an extended CONNECT, or of another method whose answer is a stream. A malformed
/// cursor is not an error.
pub(crate) fn subscribe_params(
    parts: &Parts,
    head: &RequestHead<'_>,
    offered: Transports,
    limits: QueryLimits,
) -> Result<SubscribeParams, Refusal> {
    let mut query = Query::default();
    query.read(parts, limits)?;
    let RequestedStart { start, is_explicit } = query.start.of(head);
    let preferred = head.wait.filter(|_| query.wait.is_none());
    let wait = query.wait.or(preferred);
    Ok(SubscribeParams {
        transport: choose(parts, head, query.transport, wait, offered)?,
        start,
        is_start_explicit: is_explicit,
        topics: query.topics,
        name: query.name,
        wait,
        preferred: preferred.is_some(),
        objects: query.objects,
        visible: query.visible,
        controls: !query.controls_off,
        lines: head.accepted.lines(),
        held_cursor: head.held.cursor(),
    })
}

/// Chooses the transport by the first of these that applies. A method other than GET, HEAD and CONNECT has its own
/// rules, see [`stream_only`].
///
/// 1. `?transport=`: the transport of that name.
/// 2. A WebSocket handshake: WebSocket.
/// 3. `Accept`: SSE for `text/event-stream`, a chunked stream for `application/x-ndjson`, `application/ndjson` or
///    `application/jsonl`. The one with the greater weight, unless JSON has a greater one.
/// 4. A wait: a long poll, or a short poll if it is 0.
/// 5. A short poll, or the first other transport that is offered.
///
/// A transport by rule 1 or 2 that is not offered is refused. A transport by rule 3 or 4 that is not offered is
/// skipped, so there is no 406.
fn choose(
    parts: &Parts,
    head: &RequestHead<'_>,
    named: Option<Transport>,
    wait: Option<Duration>,
    offered: Transports,
) -> Result<Transport, Refusal> {
    if stream_only::is_for(&parts.method) {
        return stream_only::choose(head, named, wait, offered);
    }
    let handshake = upgrade_request::is_upgrade_request(parts, head);
    let demanded = match named {
        Some(Transport::WebSocket) if !handshake => {
            return Err(Refusal::upgrade("WebSocket handshake is missing: send `Upgrade: websocket`"));
        }
        None => handshake.then_some(Transport::WebSocket),
        named => named,
    };
    if let Some(transport) = demanded {
        return offered.has(transport).then_some(transport).ok_or_else(|| Refusal::not_offered(transport));
    }
    let poll = wait.map(|wait| if wait.is_zero() { Transport::ShortPoll } else { Transport::LongPoll });
    head.accepted
        .choose(offered)
        .or(poll.filter(|&poll| offered.has(poll)))
        .or_else(|| offered.fallback())
        .ok_or_else(|| Refusal::upgrade("this endpoint offers WebSocket only: send `Upgrade: websocket`"))
}

/// Parameters of a POST.
#[derive(Debug, Clone)]
pub(crate) struct MessageParams {
    pub(crate) topics: Vec<Topic>,
    pub(crate) start: Start,
    pub(crate) name: Option<Arc<str>>,
}

/// Reads the parameters of a POST.
pub(crate) fn message_params(
    parts: &Parts,
    head: &RequestHead<'_>,
    limits: QueryLimits,
) -> Result<MessageParams, Refusal> {
    let mut query = Query::default();
    query.read(parts, limits)?;
    let RequestedStart { start, .. } = query.start.of(head);
    Ok(MessageParams { topics: query.topics, start, name: query.name })
}

/// Parameters of a query that the endpoint reads. All others are the application's.
#[derive(Default)]
struct Query<'a> {
    transport: Option<Transport>,
    topics: Vec<Topic>,
    start: StartQuery<'a>,
    name: Option<Arc<str>>,
    wait: Option<Duration>,
    objects: bool,
    visible: bool,
    controls_off: bool,
}

impl<'a> Query<'a> {
    /// Reads the query of a request.
    // In place, because the parameters are large.
    fn read(&mut self, parts: &'a Parts, limits: QueryLimits) -> Result<(), Refusal> {
        let QueryLimits { max_topics_per_request, max_last } = limits;
        let not_utf8 = |NotUtf8| Refusal::bad(NOT_UTF8);
        for pair in pairs(parts.uri.query().unwrap_or_default()) {
            let key = pair.name().map_err(not_utf8)?;
            if self.start.take(&key, pair, max_last) {
                continue;
            }
            // Checked for the application's parameters, too: it must not read a value that the client did not send.
            let value = pair.value().map_err(not_utf8)?;
            match &*key {
                "transport" if self.transport.is_none() => {
                    let named = Transport::from_name(&value);
                    self.transport = Some(named.ok_or_else(|| Refusal::bad(UNKNOWN_TRANSPORT))?);
                }
                "topic" => {
                    let topic = Topic::new(&value).map_err(|error| Refusal::bad(error.to_string()))?;
                    if self.topics.contains(&topic) {
                        continue;
                    }
                    if self.topics.len() == max_topics_per_request {
                        return Err(Refusal::bad(format!(
                            "too many topics: max_topics_per_request is {max_topics_per_request}"
                        )));
                    }
                    match self.topics.is_empty() {
                        // Most requests name one topic, and the first push would allocate four places.
                        true => self.topics = vec![topic],
                        false => self.topics.push(topic),
                    }
                }
                "session" if self.name.is_none() => {
                    let name = Some(&*value).filter(|name| is_name(name));
                    self.name = Some(name.ok_or_else(|| Refusal::bad(NAME))?.into());
                }
                "wait" if self.wait.is_none() => {
                    let wait = prefer::seconds(&value)
                        .ok_or_else(|| Refusal::bad("wait is invalid: send a whole number of seconds"))?;
                    self.wait = Some(wait);
                }
                "format" => self.objects = value == "object",
                "heartbeat" => self.visible = value == "visible",
                "controls" => self.controls_off = value == "off",
                _ => {}
            }
        }
        Ok(())
    }
}

/// Error text for an unknown `?transport=`.
const UNKNOWN_TRANSPORT: &str = "unknown transport: use short-poll, long-poll, chunked, sse or websocket";

/// Error text for a query with a name or a value that is not UTF-8.
const NOT_UTF8: &str = "query is not UTF-8: percent-encode the UTF-8 bytes of each name and value";

/// Error text for an invalid session name.
const NAME: &str = "session is invalid: send a name of 1 to 64 visible ASCII characters";

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}
