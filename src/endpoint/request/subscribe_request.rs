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

/// Subscription request of a client. Clones share it.
///
/// It may be kept as long as the session, so it is a compact copy: it does not hold on to the connection's read buffer.
#[derive(Clone)]
pub struct SubscribeRequest(Arc<Inner>, Option<Session>);

struct Inner {
    method: Method,
    head: Packed,
    extensions: Extensions,
    topics: Vec<Topic>,
    start: Start,
    transport: Transport,
}

impl SubscribeRequest {
    pub(crate) fn new(parts: Parts, topics: Vec<Topic>, start: Start, transport: Transport) -> Self {
        let head = Packed::of(&parts.uri, &parts.headers);
        let Parts { method, extensions, .. } = parts;
        Self(Arc::new(Inner { method, head, extensions, topics, start, transport }), None)
    }

    /// Returns the request as one of a client with this session, if there is one.
    pub(crate) fn of(self, session: Option<Session>) -> Self {
        Self(self.0, session)
    }

    /// Returns the session that a message belongs to, in [`Publisher::receive`](crate::Publisher::receive): a WebSocket's
    /// own; for a POST with `?session=NAME`, the newest of that name under the POST's own
    /// [limit key](crate::Publisher::limit_key), without its [data](Session::data); `None` for a POST without a key.
    /// Also `None` in [`Publisher::subscribe`](crate::Publisher::subscribe), which is called before there is a session.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        self.1.as_ref()
    }

    /// The topics named by `?topic=`, which may repeat: topics, never patterns. To name one is not to be allowed it.
    #[must_use]
    pub fn topics(&self) -> &[Topic] {
        &self.0.topics
    }

    /// Returns the start that the client asks for: after its cursor, or now.
    #[must_use]
    pub fn start(&self) -> Start {
        self.0.start
    }

    /// How the client gets its events. For a POST, [`Transport::ShortPoll`].
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.0.transport
    }

    /// The request's method: POST for a message that came by one.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// The request's path, as it came (percent-encoded).
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.head.path()
    }

    /// The first header of that name, in any case, if it is UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = self.0.head.headers().find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))?.1;
        std::str::from_utf8(value).ok()
    }

    /// Returns the first query parameter of that name, decoded.
    ///
    /// The value is never changed to make it UTF-8: a request with a name or a value that is not UTF-8 is refused with
    /// 400 before the publisher is called. `cursor` and `lastEventId` are exempt, since a bad cursor is never an error
    /// status, and `None` here if they are not UTF-8.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        pairs(self.0.head.query()).find(|pair| pair.name().is_ok_and(|key| key == name))?.value().ok()
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.0.extensions
    }

    /// Returns a value that a layer before the mount put into the request's extensions, such as the user or the peer's
    /// address.
    #[must_use]
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.extensions.get()
    }

    /// Returns a subscription to these topics, from the start that the client asks for.
    ///
    /// Refuses every `*`: a name built from the request, as `format!("rooms/{name}")`, cannot become a wildcard. It can
    /// still get more segments; [`Topic::from_segments`] refuses those too. A refused name becomes
    /// [`Rejection::Invalid`](crate::Rejection::Invalid), status 400.
    pub fn subscribe_to<I>(&self, topics: I) -> Subscribe
    where
        I: IntoIterator,
        I::Item: TryInto<Topic>,
        TopicError: From<<I::Item as TryInto<Topic>>::Error>,
    {
        Subscribe::topics(topics).start(self.0.start)
    }

    /// Returns a subscription to these patterns, from the start that the client asks for. The patterns must be the
    /// application's own: one that contains text of the client lets it follow what it likes.
    pub fn subscribe_to_patterns<I>(&self, patterns: I) -> Subscribe
    where
        I: IntoIterator,
        I::Item: TryInto<Pattern>,
        PatternError: From<<I::Item as TryInto<Pattern>>::Error>,
    {
        Subscribe::patterns(patterns).start(self.0.start)
    }
}

/// A request's target and headers in one allocation: path, query, and for each header the lengths of its name and value,
/// name, value.
struct Packed {
    path: usize,
    query: usize,
    bytes: Box<[u8]>,
}

impl Packed {
    /// Longer values than 65,535 bytes, which no server lets through, are left out.
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
