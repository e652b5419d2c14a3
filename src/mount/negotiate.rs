use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderName};

use super::asked;
use super::prefer;
use super::refusal::Refusal;
use super::transports::Transports;
use crate::contract::{Start, SubscribeRequest, Transport};
use crate::model::{Cursor, Topic};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What a request asks for, read from its head alone.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) transport: Transport,
    pub(super) topics: Vec<Topic>,
    pub(super) start: Start,
    /// `?session=`: what the client calls its session.
    pub(super) name: Option<Arc<str>>,
    /// How long the client would have a poll held.
    pub(super) wait: Option<Duration>,
    /// Whether `wait` is from a `Prefer` header, which is to be acknowledged.
    pub(super) preferred: bool,
    /// `?format=object`: event objects as SSE data.
    pub(super) objects: bool,
    /// `?heartbeat=visible`.
    pub(super) visible: bool,
    /// The cursor of `If-None-Match`: what the client holds, if it would take a 304.
    pub(super) holds: Option<Cursor>,
}

impl Wanted {
    /// The request as the publisher is shown it. The topics go there.
    pub(super) fn request(&mut self, parts: Parts) -> SubscribeRequest {
        SubscribeRequest::new(parts, std::mem::take(&mut self.topics), self.start, self.transport)
    }

    /// Whether this makes a session: a short poll does as one of a run.
    pub(super) fn is_session(&self) -> bool {
        self.transport != Transport::ShortPoll || self.name.is_some()
    }

    /// The name of the run of polls that this is one of.
    pub(super) fn run_name(&self) -> Option<Arc<str>> {
        self.name.clone().filter(|_| matches!(self.transport, Transport::ShortPoll | Transport::LongPoll))
    }

    /// The preference that was honoured (RFC 7240 §3): a wait that is 0 is, by a short poll.
    pub(super) fn applied(&self, max: Duration) -> Option<Duration> {
        let wait = self.wait.filter(|_| self.preferred)?;
        match self.transport {
            Transport::LongPoll => Some(wait.min(max)),
            Transport::ShortPoll => wait.is_zero().then_some(wait),
            _ => None,
        }
    }
}

/// Reads what a GET asks for, by the transport that [`choose`] finds. A cursor that can't be read is a start like any
/// other.
pub(super) fn get(parts: &Parts, here: Transports, max_topics: usize) -> Result<Wanted, Refusal> {
    let query = query(parts, max_topics)?;
    let preferred = prefer::wait(&parts.headers).filter(|_| query.wait.is_none());
    let wait = query.wait.or(preferred);
    let holds = parts.headers.get(IF_NONE_MATCH).and_then(|tag| Cursor::parse(opaque(tag.as_bytes())).ok());
    Ok(Wanted {
        transport: choose(parts, query.named, wait, here)?,
        start: start(&parts.headers, query.cursor.as_deref()),
        topics: query.topics,
        name: query.name,
        wait,
        preferred: preferred.is_some(),
        objects: query.objects,
        visible: query.visible,
        holds,
    })
}

/// Chooses the transport, in this order:
///
/// 1. `?transport=` names it;
/// 2. a WebSocket handshake is one;
/// 3. `Accept: text/event-stream` → SSE, `Accept: application/x-ndjson` → chunked stream;
/// 4. a wait → long poll, where it is 0 short poll;
/// 5. else a short poll, or what comes next to it where that is not there.
///
/// What was demanded (1, 2) and is not there is refused; what was only preferred (3, 4) is passed over, so that there
/// is no 406.
fn choose(
    parts: &Parts,
    named: Option<Transport>,
    wait: Option<Duration>,
    here: Transports,
) -> Result<Transport, Refusal> {
    let handshake = asked::is_asked(parts);
    let demanded = match named {
        Some(Transport::WebSocket) if !handshake => {
            return Err(Refusal::upgrade("a WebSocket needs a handshake: Upgrade: websocket"));
        }
        None => handshake.then_some(Transport::WebSocket),
        named => named,
    };
    if let Some(transport) = demanded {
        let refuse = || Refusal::bad(format!("the transport {} is not offered here", transport.as_str()));
        return here.has(transport).then_some(transport).ok_or_else(refuse);
    }
    let poll = wait.map(|wait| if wait.is_zero() { Transport::ShortPoll } else { Transport::LongPoll });
    preferred(&parts.headers, here)
        .or(poll.filter(|&poll| here.has(poll)))
        .or_else(|| here.fallback())
        .ok_or_else(|| Refusal::upgrade("this endpoint speaks WebSocket only"))
}

/// What a POST says beside its message.
#[derive(Debug, Clone)]
pub(super) struct Posted {
    pub(super) topics: Vec<Topic>,
    pub(super) start: Start,
    pub(super) name: Option<Arc<str>>,
}

/// Reads what a POST says beside its message.
pub(super) fn post(parts: &Parts, max_topics: usize) -> Result<Posted, Refusal> {
    let query = query(parts, max_topics)?;
    let start = start(&parts.headers, query.cursor.as_deref());
    Ok(Posted { topics: query.topics, start, name: query.name })
}

/// The parameters that are the endpoint's own. All others are the application's.
#[derive(Default)]
struct Query<'a> {
    named: Option<Transport>,
    topics: Vec<Topic>,
    cursor: Option<Cow<'a, str>>,
    name: Option<Arc<str>>,
    wait: Option<Duration>,
    objects: bool,
    visible: bool,
}

fn query(parts: &Parts, max_topics: usize) -> Result<Query<'_>, Refusal> {
    let mut query = Query::default();
    for (key, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
        match &*key {
            "transport" if query.named.is_none() => {
                let named = Transport::from_name(&value);
                query.named = Some(named.ok_or_else(|| Refusal::bad("there is no transport of that name"))?);
            }
            "topic" => {
                let topic = Topic::new(&value).map_err(|error| Refusal::bad(format!("topic: {error}")))?;
                if query.topics.contains(&topic) {
                    continue;
                }
                if query.topics.len() == max_topics {
                    return Err(Refusal::bad(format!("more than {max_topics} topics")));
                }
                query.topics.push(topic);
            }
            "cursor" if query.cursor.is_none() && !value.is_empty() => query.cursor = Some(value),
            "session" if query.name.is_none() => {
                let name = Some(&*value).filter(|name| is_name(name));
                query.name = Some(name.ok_or_else(|| Refusal::bad(NAME))?.into());
            }
            "wait" if query.wait.is_none() => {
                let wait = prefer::seconds(&value).ok_or_else(|| Refusal::bad("wait is a whole number of seconds"))?;
                query.wait = Some(wait);
            }
            "format" => query.objects = value == "object",
            "heartbeat" => query.visible = value == "visible",
            _ => {}
        }
    }
    Ok(query)
}

/// What a session's name is, told to who sends another.
const NAME: &str = "session is a name of 1 to 64 visible ASCII characters";

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Where the client stands: Last-Event-ID, else `?cursor=`, else If-None-Match. An empty one is absent.
fn start(headers: &HeaderMap, query: Option<&str>) -> Start {
    let mut ids = headers.get_all(LAST_EVENT_ID).iter().map(|id| id.as_bytes()).filter(|id| !id.is_empty());
    let id = ids.next();
    if ids.any(|other| Some(other) != id) {
        return Start::Unreadable;
    }
    let tag = headers.get(IF_NONE_MATCH).map(|tag| opaque(tag.as_bytes())).filter(|tag| !tag.is_empty());
    // `*` is any answer at all (RFC 9110 §13.1.2): no cursor.
    let tag = tag.filter(|&tag| tag != b"*");
    match id.or(query.map(str::as_bytes)).or(tag) {
        Some(cursor) => Cursor::parse(cursor).map_or(Start::Unreadable, Start::After),
        None => Start::Now,
    }
}

/// What is inside an entity tag, strong or weak: the first of the list.
fn opaque(tag: &[u8]) -> &[u8] {
    let tag = tag.split(|&byte| byte == b',').next().unwrap_or_default().trim_ascii();
    let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
    tag.strip_prefix(b"\"").and_then(|tag| tag.strip_suffix(b"\"")).unwrap_or(tag)
}

/// The stream that `Accept` names, if it is here.
fn preferred(headers: &HeaderMap, here: Transports) -> Option<Transport> {
    let named = |transport, media| here.has(transport) && accepts(headers, media);
    if named(Transport::Sse, "text/event-stream") {
        Some(Transport::Sse)
    } else if named(Transport::Chunked, "application/x-ndjson") {
        Some(Transport::Chunked)
    } else {
        None
    }
}

/// Whether `Accept` names this type itself, and not with `q=0`.
fn accepts(headers: &HeaderMap, media: &str) -> bool {
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    ranges
        .map(|range| range.split(';').map(str::trim))
        .any(|mut range| range.next().is_some_and(|name| name.eq_ignore_ascii_case(media)) && !range.any(is_zero))
}

/// Whether a parameter is `q=0`, with any number of zeros behind the point.
fn is_zero(parameter: &str) -> bool {
    let weight = parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    weight.is_some_and(|(_, weight)| weight.trim().parse() == Ok(0.0))
}
