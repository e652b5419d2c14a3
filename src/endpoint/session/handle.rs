use std::any::Any;
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::contract::Transport;
use crate::model::Pattern;

/// Session of one client: a connection, or a poll session, which is many polls under one name. A handle: clones are the
/// same session.
///
/// A session begins when the publisher has authorized the client, and ends once, for one [reason](SessionEnd).
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    id: SessionId,
    transport: Transport,
    name: Option<Arc<str>>,
    key: Option<Arc<str>>,
    data: Option<Arc<dyn Any + Send + Sync>>,
    topics: Mutex<Topics>,
}

/// Topics of a session. They are moved into a shared slice when they are first asked for, which is rare.
enum Topics {
    Named(Vec<Pattern>),
    Shared(Arc<[Pattern]>),
}

/// Limit key, and the name that a client chose under it. Without a key a name joins nothing, since any client could use it.
pub(crate) type Label = (Arc<str>, Arc<str>);

/// Number of a session, unique at its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u64);

/// Reason why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionEnd {
    /// The client went: it closed, or its connection broke.
    Gone,
    /// All topics have ended, or the hub was closed, and the client has everything. Also if a topic failed, and server-sent
    /// events without [controls](crate::EndpointBuilder::sse_controls) were broken off for that.
    Finished,
    /// The client fell behind history, and its policy is [`Overflow::Disconnect`](crate::Overflow::Disconnect). Or there was
    /// a gap that its stream cannot express: raw WebSocket, or server-sent events without
    /// [controls](crate::EndpointBuilder::sse_controls).
    TooSlow,
    /// The client took nothing, or answered no ping, for too long.
    Stalled,
    /// No poll of a poll session came for [too long](crate::EndpointBuilder::poll_session_timeout), or a poll without a
    /// name was answered.
    Silent,
    /// The client broke its transport's rules, or the publisher refused what it sent.
    Refused,
    /// The endpoint drained.
    Drained,
    /// The application [disconnected](crate::Endpoint::disconnect) it, or it had
    /// [its time](crate::EndpointBuilder::max_session_age).
    Disconnected,
    /// The authorization ended, by [`Accepted::with_lifetime`](crate::Accepted::with_lifetime) or
    /// [`Endpoint::revoke`](crate::Endpoint::revoke).
    Revoked,
    /// The application's code failed: it panicked.
    Panicked,
}

impl SessionEnd {
    /// Every reason, in the order of the enum.
    pub const ALL: &'static [Self] = &[
        Self::Gone,
        Self::Finished,
        Self::TooSlow,
        Self::Stalled,
        Self::Silent,
        Self::Refused,
        Self::Drained,
        Self::Disconnected,
        Self::Revoked,
        Self::Panicked,
    ];

    /// Returns the name: `gone`, `finished`, `too_slow`, `stalled`, `silent`, `refused`, `drained`, `disconnected`, `revoked`
    /// or `panicked`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Finished => "finished",
            Self::TooSlow => "too_slow",
            Self::Stalled => "stalled",
            Self::Silent => "silent",
            Self::Refused => "refused",
            Self::Drained => "drained",
            Self::Disconnected => "disconnected",
            Self::Revoked => "revoked",
            Self::Panicked => "panicked",
        }
    }
}

impl Session {
    pub(crate) fn new(
        id: SessionId,
        transport: Transport,
        name: Option<Arc<str>>,
        key: Option<Arc<str>>,
        data: Option<Arc<dyn Any + Send + Sync>>,
        topics: Vec<Pattern>,
    ) -> Self {
        Self(Arc::new(Inner { id, transport, name, key, data, topics: Mutex::new(Topics::Named(topics)) }))
    }

    /// Returns the session's number at this endpoint.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    /// Returns the transport. That of a poll session is the transport of its first poll.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.0.transport
    }

    /// Returns the name that the client chose by `?session=`. The name joins polls and messages to a session under one
    /// [limit key](crate::Publisher::limit_key). Without a key it joins nothing.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// Returns the topics and patterns of the session, also after a change. Those of a poll session are of its last
    /// poll. Empty if the [subscriber](crate::Subscriber::info) does not describe its topics.
    #[must_use]
    pub fn topics(&self) -> Arc<[Pattern]> {
        self.0.topics.lock().unwrap_or_else(PoisonError::into_inner).shared()
    }

    /// Replaces the topics.
    pub(crate) fn follow(&self, topics: Vec<Pattern>) {
        *self.0.topics.lock().unwrap_or_else(PoisonError::into_inner) = Topics::Named(topics);
    }

    pub(crate) fn shared_key(&self) -> Option<Arc<str>> {
        self.0.key.clone()
    }

    /// Returns the key and the name, if the session has both.
    pub(crate) fn label(&self) -> Option<Label> {
        Some((self.0.key.clone()?, self.0.name.clone()?))
    }

    /// Returns a handle of this session for another request that belongs to it, with that request's data and topics.
    pub(crate) fn of_request(&self, data: Option<Arc<dyn Any + Send + Sync>>, topics: Vec<Pattern>) -> Self {
        let Inner { id, transport, name, key, .. } = &*self.0;
        Self::new(*id, *transport, name.clone(), key.clone(), data, topics)
    }

    /// Returns the client's [limit key](crate::Publisher::limit_key).
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// Returns the value that the publisher gave to [`Accepted::with_data`](crate::Accepted::with_data) for this request, if it is of
    /// that type. Each poll of a poll session has its own. A message that came by POST has none, since no
    /// [`subscribe`](crate::Publisher::subscribe) accepted it.
    #[must_use]
    pub fn data<T: Any>(&self) -> Option<&T> {
        self.0.data.as_deref()?.downcast_ref()
    }
}

impl Topics {
    fn shared(&mut self) -> Arc<[Pattern]> {
        let shared: Arc<[_]> = match self {
            Self::Shared(shared) => return shared.clone(),
            Self::Named(names) => std::mem::take(names).into(),
        };
        *self = Self::Shared(shared.clone());
        shared
    }
}

impl SessionId {
    pub(crate) fn new(id: u64) -> Self {
        Self(id)
    }

    /// Returns the number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for SessionId {
    /// Returns the id of this number, whether or not there is such a session.
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl FromStr for SessionId {
    type Err = ParseIntError;

    /// Reads the decimal number that [`Display`](fmt::Display) writes.
    fn from_str(digits: &str) -> Result<Self, ParseIntError> {
        digits.parse().map(Self)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.0.id)
            .field("transport", &self.0.transport)
            .field("name", &self.0.name)
            .field("key", &self.0.key)
            .finish_non_exhaustive()
    }
}
