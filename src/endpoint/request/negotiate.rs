use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;

use super::accept::LinesType;
use super::asked;
use super::entity_tag::HeldCursor;
use super::head::{Head, LastEventId};
use super::prefer;
use super::transports::Transports;
use crate::contract::{Start, Transport};
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::request::SubscribeRequest;
use crate::endpoint::request::query::{NotUtf8, pairs};
use crate::endpoint::session::Label;
use crate::model::{Cursor, Topic};

/// Parameters of a request, read from its head alone.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) transport: Transport,
    pub(crate) topics: Vec<Topic>,
    pub(crate) start: Start,
    /// `?session=`: what the client calls its session.
    pub(crate) name: Option<Arc<str>>,
    /// How long the client would have a poll held.
    pub(crate) wait: Option<Duration>,
    /// Whether `wait` is from a `Prefer` header, which is to be acknowledged.
    pub(crate) preferred: bool,
    /// `?format=object`: event objects as SSE data.
    pub(crate) objects: bool,
    /// `?heartbeat=visible`.
    pub(crate) visible: bool,
    /// Name of a chunked stream's content type.
    pub(crate) lines: LinesType,
    /// The cursor of `If-None-Match`: what the client holds, if it would take a 304.
    pub(crate) holds: Option<Cursor>,
}

impl Wanted {
    /// The request as the publisher is shown it. The topics go there.
    pub(crate) fn request(&mut self, parts: Parts) -> SubscribeRequest {
        SubscribeRequest::new(parts, std::mem::take(&mut self.topics), self.start, self.transport)
    }

    /// Returns whether this makes a session under this limit key: a short poll does only as one of a run.
    pub(crate) fn is_session(&self, key: Option<&Arc<str>>) -> bool {
        self.transport != Transport::ShortPoll || (key.is_some() && self.name.is_some())
    }

    /// Returns the label of the run that this poll belongs to: a poll without a name or without a limit key belongs to
    /// none.
    pub(crate) fn run_label(&self, key: Option<&Arc<str>>) -> Option<Label> {
        let name = self.name.as_ref().filter(|_| matches!(self.transport, Transport::ShortPoll | Transport::LongPoll));
        Some((key?.clone(), name?.clone()))
    }

    /// Returns the preference that was honoured (RFC 7240 §3), in whole seconds: a wait that is 0 is, by a short poll.
    pub(crate) fn applied(&self, max: Duration) -> Option<u32> {
        let wait = self.wait.filter(|_| self.preferred)?;
        match self.transport {
            Transport::LongPoll => Some(u32::try_from(wait.min(max).as_secs()).unwrap_or(u32::MAX)),
            Transport::ShortPoll => wait.is_zero().then_some(0),
            _ => None,
        }
    }
}

/// Reads what a GET asks for, by the transport that [`choose`] finds. A cursor that can't be read is a start like any
/// other.
pub(crate) fn get(
    parts: &Parts,
    head: &Head<'_>,
    here: Transports,
    max_topics_per_request: usize,
) -> Result<Wanted, Refusal> {
    let query = query(parts, max_topics_per_request)?;
    let preferred = head.wait.filter(|_| query.wait.is_none());
    let wait = query.wait.or(preferred);
    Ok(Wanted {
        transport: choose(parts, head, query.named, wait, here)?,
        start: start(head, query.cursor()),
        topics: query.topics,
        name: query.name,
        wait,
        preferred: preferred.is_some(),
        objects: query.objects,
        visible: query.visible,
        lines: head.accepted.lines(),
        holds: head.held.cursor(),
    })
}

/// Chooses the transport, in this order:
///
/// 1. `?transport=` names it;
/// 2. a WebSocket handshake is one;
/// 3. `Accept`: `text/event-stream` → SSE, `application/x-ndjson`, `application/ndjson` or `application/jsonl` → chunked
///    stream, the one with the greater weight, unless JSON has a greater one;
/// 4. a wait → long poll, where it is 0 short poll;
/// 5. else a short poll, or what comes next to it where that is not there.
///
/// A transport that the client demands (1, 2) and the endpoint does not offer is refused. One that it only prefers (3,
/// 4) is passed over, so there is no 406.
fn choose(
    parts: &Parts,
    head: &Head<'_>,
    named: Option<Transport>,
    wait: Option<Duration>,
    here: Transports,
) -> Result<Transport, Refusal> {
    let handshake = asked::is_asked(parts, head);
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
    head.accepted
        .of(here)
        .or(poll.filter(|&poll| here.has(poll)))
        .or_else(|| here.fallback())
        .ok_or_else(|| Refusal::upgrade("this endpoint speaks WebSocket only"))
}

/// Parameters of a POST.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    pub(crate) topics: Vec<Topic>,
    pub(crate) start: Start,
    pub(crate) name: Option<Arc<str>>,
}

/// Reads what a POST says beside its message.
pub(crate) fn post(parts: &Parts, head: &Head<'_>, max_topics_per_request: usize) -> Result<Posted, Refusal> {
    let query = query(parts, max_topics_per_request)?;
    let start = start(head, query.cursor());
    Ok(Posted { topics: query.topics, start, name: query.name })
}

/// The parameters that are the endpoint's own. All others are the application's.
#[derive(Default)]
struct Query<'a> {
    named: Option<Transport>,
    topics: Vec<Topic>,
    cursor: Option<Cow<'a, str>>,
    /// `Last-Event-ID` as a parameter, for clients that cannot set a header.
    last_event_id: Option<Cow<'a, str>>,
    name: Option<Arc<str>>,
    wait: Option<Duration>,
    objects: bool,
    visible: bool,
}

impl<'a> Query<'a> {
    /// Returns the newer one: a polyfill adds its last id to a URL that may have the cursor of the page's first connection.
    fn cursor(&self) -> Option<&str> {
        self.last_event_id.as_deref().or(self.cursor.as_deref())
    }

    /// Returns the field of the cursor that a parameter of this name holds, if any.
    fn cursor_mut(&mut self, name: &str) -> Option<&mut Option<Cow<'a, str>>> {
        match name.len() {
            6 if name == "cursor" => Some(&mut self.cursor),
            11 | 13 if is_last_event_id(name) => Some(&mut self.last_event_id),
            _ => None,
        }
    }
}

/// Returns whether polyfills of `EventSource` or Mercure clients send their last event's id under this name: in any case,
/// with `-`, `_` or nothing between the words.
fn is_last_event_id(name: &str) -> bool {
    ["lasteventid", "last-event-id", "last_event_id"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

fn query(parts: &Parts, max_topics_per_request: usize) -> Result<Query<'_>, Refusal> {
    let mut query = Query::default();
    let not_utf8 = |NotUtf8| Refusal::bad(NOT_UTF8);
    for pair in pairs(parts.uri.query().unwrap_or_default()) {
        let key = pair.name().map_err(not_utf8)?;
        if let Some(place) = query.cursor_mut(&key) {
            // A cursor is never an error status. `?` is not a cursor either, and so becomes an `invalid` gap.
            let cursor = pair.value().unwrap_or(Cow::Borrowed("?"));
            if place.is_none() && !cursor.is_empty() {
                *place = Some(cursor);
            }
            continue;
        }
        // The application's parameters too: it must not read a value that differs from the one that was sent.
        let value = pair.value().map_err(not_utf8)?;
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
                if query.topics.len() == max_topics_per_request {
                    return Err(Refusal::bad(format!("more than {max_topics_per_request} topics")));
                }
                match query.topics.is_empty() {
                    // Most name one, and a first push makes room for four.
                    true => query.topics = vec![topic],
                    false => query.topics.push(topic),
                }
            }
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

/// Told to a client whose query has a name or a value that is not UTF-8.
const NOT_UTF8: &str = "query is not UTF-8: percent-encode the UTF-8 bytes of each name and value";

/// Error text for an invalid session name.
const NAME: &str = "session is a name of 1 to 64 visible ASCII characters";

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Returns where the client stands: the Last-Event-ID header, else the query, else If-None-Match. An empty one is absent.
fn start(head: &Head<'_>, query: Option<&str>) -> Start {
    let read = |cursor: &[u8]| Cursor::parse(cursor).map_or(Start::Unreadable, Start::After);
    match (head.last_event_id, query) {
        (LastEventId::Is(id), _) => read(id),
        (LastEventId::Unclear, _) => Start::Unreadable,
        (LastEventId::Absent, Some(cursor)) => read(cursor.as_bytes()),
        (LastEventId::Absent, None) => match head.held {
            HeldCursor::Nothing => Start::Now,
            HeldCursor::Cursor(cursor) => Start::After(cursor),
            HeldCursor::Unreadable => Start::Unreadable,
        },
    }
}
