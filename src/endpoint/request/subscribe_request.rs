use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Uri};

use crate::contract::{Start, Subscribe, Transport};
use crate::endpoint::request::query::pairs;
use crate::endpoint::session::Session;
use crate::model::{Pattern, PatternError, Topic, TopicError};

/// Request of a client to subscribe or to send a message, as the publisher gets it.
///
/// Clones share their data. It is a compact copy of the request's head, which does not keep the connection's read
/// buffer alive, so an application may keep it for as long as the session.
///
/// ```
/// use tidings::{Endpoint, LocalHub, Rejection};
///
/// let events = Endpoint::from_fn(&LocalHub::new(), async |request| {
///     let room = request.query("room").ok_or(Rejection::invalid("?room= is missing"))?;
///     let user = request.header("x-user").ok_or(Rejection::Unauthorized)?; // set by a proxy that authenticates
///     println!("{user} reads {room} over {}", request.transport().as_str());
///     Ok(request.subscribe_to([tidings::Topic::from_segments(["rooms", &*room])?]))
/// });
/// ```
#[derive(Clone)]
pub struct SubscribeRequest(Arc<Inner>, Option<Session>);

struct Inner {
    method: Method,
    head: Packed,
    extensions: Extensions,
    topics: Vec<Topic>,
    start: Start,
    transport: Transport,
    /// Whether a session changes its topics.
    is_change: bool,
}

impl SubscribeRequest {
    pub(crate) fn new(parts: Parts, topics: Vec<Topic>, start: Start, transport: Transport) -> Self {
        let head = Packed::of(&parts.uri, &parts.headers);
        let Parts { method, extensions, .. } = parts;
        Self(Arc::new(Inner { method, head, extensions, topics, start, transport, is_change: false }), None)
    }

    /// Returns the request of a session that changes its topics.
    #[cfg(feature = "websocket")]
    pub(crate) fn changed(&self, topics: Vec<Topic>, start: Start) -> Self {
        let Inner { method, head, extensions, transport, .. } = &*self.0;
        let (method, head, extensions) = (method.clone(), head.clone(), extensions.clone());
        let inner = Inner { method, head, extensions, topics, start, transport: *transport, is_change: true };
        Self(Arc::new(inner), self.1.clone())
    }

    /// Returns the request with this session.
    pub(crate) fn of(self, session: Option<Session>) -> Self {
        Self(self.0, session)
    }

    /// Returns the session of a message, or of a change of topics.
    ///
    /// In [`Publisher::subscribe`](crate::Publisher::subscribe) it is the session that changes its
    /// [topics](Self::topics), see [`websocket`](crate::transport::websocket#changing-topics). `None` for a request
    /// that begins a session or polls.
    ///
    /// In [`Publisher::receive`](crate::Publisher::receive):
    ///
    /// - For a WebSocket message it is the session of its connection.
    /// - For a POST with `?session=NAME` it is the newest session of that name under the POST's [limit
    ///   key](crate::Publisher::limit_key), without its [data](Session::data). `None` for a POST without a key or a
    ///   name.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        self.1.as_ref()
    }

    /// Returns the topics that the client named by `?topic=`, or those of a change. They are never patterns. The client
    /// may not be allowed to read them: check them before you subscribe.
    #[must_use]
    pub fn topics(&self) -> &[Topic] {
        &self.0.topics
    }

    /// Returns the start that the client asks for: after its cursor; else the last events by `?last=N`, limited by
    /// [`max_last`](crate::EndpointBuilder::max_last); else the oldest event by `?start=oldest`; else now. An unreadable
    /// cursor is [`Start::Unreadable`], and another unreadable value is [`Start::Now`].
    #[must_use]
    pub fn start(&self) -> Start {
        self.0.start
    }

    /// Returns the transport of the events. For a message by POST it is [`Transport::ShortPoll`].
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.0.transport
    }

    /// Returns the request's method: GET, CONNECT for a WebSocket over HTTP/2, POST for a message, or any method of a
    /// request that [`Endpoint::respond`](crate::Endpoint::respond) answers.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// Returns the request's path, percent-encoded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.head.path()
    }

    /// Returns the first header with this name, in any case. `None` if there is none, or its value is not UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = self.0.head.headers().find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))?.1;
        std::str::from_utf8(value).ok()
    }

    /// Returns the value of the first cookie with this name, as it was sent: quotes and percent-encoding are not removed. All
    /// `Cookie` headers are searched, since a client may send one for each cookie over HTTP/2 (RFC 9113, section 8.2.3). `None`
    /// if there is none, or if its header is not UTF-8.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let headers = self.0.head.headers().filter(|(key, _)| key.eq_ignore_ascii_case(b"cookie"));
        let mut cookies =
            headers.filter_map(|(_, value)| std::str::from_utf8(value).ok()).flat_map(|value| value.split(';'));
        cookies.find_map(|cookie| cookie.trim().split_once('=').filter(|(key, _)| *key == name)).map(|(_, value)| value)
    }

    /// Returns the first query parameter with this name, decoded.
    ///
    /// A request with a name or a value that is not UTF-8 is refused with 400 before the publisher is called, so no
    /// value is replaced to make it UTF-8. Exceptions are `cursor`, `lastEventId`, `last` and `start`, which are never an
    /// error status: the method returns `None` if they are not UTF-8.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        pairs(self.0.head.query()).find(|pair| pair.name().is_ok_and(|key| key == name))?.value().ok()
    }

    /// Returns whether the client sent `Last-Event-ID`. An empty value counts as absent.
    #[cfg(feature = "sse")]
    pub(crate) fn has_event_id(&self) -> bool {
        self.0.head.headers().any(|(name, value)| name == b"last-event-id" && !value.is_empty())
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.0.extensions
    }

    /// Returns a value that a layer before the endpoint put into the request's extensions, such as the user or the
    /// peer's address.
    #[must_use]
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.extensions.get()
    }

    /// Returns a subscription to these topics, from the start that the client asks for.
    ///
    /// A `*` is refused, so a name built from the request, such as `format!("rooms/{name}")`, cannot become a wildcard.
    /// It can still get more segments; use [`Topic::from_segments`] to refuse those, too. A refused name becomes
    /// [`Rejection::Invalid`](crate::Rejection::Invalid), status 400, when the hub is asked to subscribe.
    ///
    /// If a session changes its topics, those that it did not follow are marked as [added](Subscribe::added).
    pub fn subscribe_to<I>(&self, topics: I) -> Subscribe
    where
        I: IntoIterator,
        I::Item: TryInto<Topic>,
        TopicError: From<<I::Item as TryInto<Topic>>::Error>,
    {
        self.marked(Subscribe::topics(topics)).start(self.0.start)
    }

    /// Returns a subscription to these patterns, from the start that the client asks for.
    ///
    /// If one of them has a wildcard, `?last=` and `?start=` are ignored, because the client would get the history of every
    /// topic that matches. Call [`Subscribe::start`] or [`Subscribe::start_of`] on the result to send older events.
    ///
    /// The patterns must not contain text of the client: a `*` in it would let the client follow other topics.
    pub fn subscribe_to_patterns<I>(&self, patterns: I) -> Subscribe
    where
        I: IntoIterator,
        I::Item: TryInto<Pattern>,
        PatternError: From<<I::Item as TryInto<Pattern>>::Error>,
    {
        let subscribe = Subscribe::patterns(patterns);
        let start = match self.0.start {
            Start::Last(_) | Start::Oldest if subscribe.has_wildcard() => Start::Now,
            start => start,
        };
        self.marked(subscribe).start(start)
    }

    /// Marks the topics that the session adds, if this is a change.
    #[inline]
    fn marked(&self, subscribe: Subscribe) -> Subscribe {
        if self.0.is_change { self.marked_change(subscribe) } else { subscribe }
    }

    #[cold]
    fn marked_change(&self, subscribe: Subscribe) -> Subscribe {
        match self.session() {
            Some(session) => subscribe.added_to(&session.topics()),
            None => subscribe,
        }
    }
}

/// Target and headers of a request in one allocation: the path, the query, and for each header the lengths of its name
/// and value (two bytes each), the name and the value.
#[derive(Clone)]
struct Packed {
    /// Length of the path, in bytes.
    path: usize,
    /// Length of the query, in bytes.
    query: usize,
    bytes: Box<[u8]>,
}

impl Packed {
    /// Packs a target and headers. Headers longer than 65,535 bytes, which servers do not pass, are left out.
    fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        let lines: usize = headers.iter().map(|(name, value)| 4 + name.as_str().len() + value.len()).sum();
        let mut bytes = Vec::with_capacity(path.len() + query.len() + lines);
        bytes.extend_from_slice(path.as_bytes());
        bytes.extend_from_slice(query.as_bytes());
        for (name, value) in headers {
            let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
            let (Ok(name_len), Ok(value_len)) = (u16::try_from(name.len()), u16::try_from(value.len())) else {
                continue;
            };
            let [[a, b], [c, d]] = [name_len.to_be_bytes(), value_len.to_be_bytes()];
            bytes.extend_from_slice(&[a, b, c, d]);
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(value);
        }
        Self { path: path.len(), query: query.len(), bytes: bytes.into() }
    }

    fn path(&self) -> &str {
        self.text(0..self.path)
    }

    fn query(&self) -> &str {
        self.text(self.path..self.path + self.query)
    }

    fn text(&self, range: Range<usize>) -> &str {
        self.bytes.get(range).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut lines = self.bytes.get(self.path + self.query..).unwrap_or_default();
        std::iter::from_fn(move || {
            let (&[a, b, c, d], rest) = lines.split_first_chunk()?;
            let (name, rest) = rest.split_at_checked(u16::from_be_bytes([a, b]).into())?;
            let (value, rest) = rest.split_at_checked(u16::from_be_bytes([c, d]).into())?;
            lines = rest;
            Some((name, value))
        })
    }
}

impl fmt::Debug for SubscribeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscribeRequest")
            .field("method", &self.0.method)
            .field("path", &self.path())
            .field("transport", &self.0.transport)
            .field("topics", &self.0.topics)
            .field("start", &self.0.start)
            .finish_non_exhaustive()
    }
}
