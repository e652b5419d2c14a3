use std::borrow::Cow;
use std::time::Duration;

use crate::contract::SubscribeError;
use crate::model::TopicError;

/// Why a client does not get what it asked for. Each transport tells it in its own way.
///
/// | | HTTP status | `code` of a WebSocket message | closing a WebSocket |
/// |---|---|---|---|
/// | `Unauthorized` | 401 with `WWW-Authenticate` | always closes | 1008 |
/// | `Forbidden` | 403 | `forbidden` | 1008 |
/// | `NotFound` | 404 | `not_found` | 1008 |
/// | `Busy` | 503 with `Retry-After`; to an EventSource a soft reject, 200 with `retry:` | `busy`, with `retry_ms` | 1013 |
/// | `Gone` | 410 | `gone` | 1008 |
/// | `Invalid` | 400 | `invalid` | 1008 |
/// | `Internal` | 500; the reason is not told | `internal`; the reason is not told | 1011 |
/// | `Unsupported` | 405 | ignored, and counted | 1008 |
///
/// A rejected WebSocket message does not close the connection, unless the rejection is `Unauthorized` or
/// [`closing`](Self::closing). Under `tidings.v1` the sender gets
/// `{"tidings":"error","code":"forbidden","message":"forbidden"}` in the order of its messages. Raw frames carry payloads
/// only, so their sender gets nothing: answer with an event if it has to know.
///
/// A WebSocket's handshake gets the status, before it is open. A handshake with an `Origin` comes from a page, whose script
/// can't see a status: a rejection that closes with 1008 opens the connection and closes it with that code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The client must authenticate first.
    #[error("unauthorized")]
    Unauthorized,
    /// It may not have this.
    #[error("forbidden")]
    Forbidden,
    /// There is no such thing, or it may not know.
    #[error("not found")]
    NotFound,
    /// Not now.
    #[error("busy, come back in {} ms", retry_after.as_millis())]
    Busy {
        /// When to come back.
        retry_after: Duration,
    },
    /// Never again.
    #[error("gone")]
    Gone,
    /// It asked for something that can't be; the text says what, and goes to the client.
    #[error("invalid request: {0}")]
    Invalid(Cow<'static, str>),
    /// Our fault; the text is for the log, not for the client.
    #[error("internal error: {0}")]
    Internal(Cow<'static, str>),
    /// No messages are taken here. [`Publisher::receive`](crate::Publisher::receive) returns it unless implemented.
    #[error("messages are not taken here")]
    Unsupported,
    /// A rejection after which a WebSocket is closed. Made by [`closing`](Self::closing).
    #[error("{0}")]
    Closing(Box<Self>),
}

impl Rejection {
    /// A client's mistake, told to it.
    #[must_use]
    pub fn invalid(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid(why.into())
    }

    /// Our mistake, kept from the client.
    #[must_use]
    pub fn internal(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Internal(why.into())
    }

    /// Closes the WebSocket whose message is rejected. Makes no difference over HTTP.
    ///
    /// ```
    /// use tidings::Rejection;
    ///
    /// assert!(!Rejection::Forbidden.is_closing());
    /// assert!(Rejection::Forbidden.closing().is_closing());
    /// assert!(Rejection::Unauthorized.is_closing());
    /// ```
    #[must_use]
    pub fn closing(self) -> Self {
        match self {
            Self::Closing(_) => self,
            rejection => Self::Closing(Box::new(rejection)),
        }
    }

    /// Returns whether a WebSocket is closed after a message was rejected with this.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        matches!(self, Self::Closing(_) | Self::Unauthorized)
    }

    /// Returns the rejection without [`closing`](Self::closing).
    #[must_use]
    pub fn kind(&self) -> &Self {
        match self {
            Self::Closing(rejection) => rejection.kind(),
            rejection => rejection,
        }
    }

    /// Returns the name of the kind on the wire.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind() {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Busy { .. } => "busy",
            Self::Gone => "gone",
            Self::Invalid(_) => "invalid",
            Self::Unsupported => "unsupported",
            Self::Internal(_) | Self::Closing(_) => "internal",
        }
    }

    /// Returns the text for the client.
    #[cfg(feature = "websocket")]
    pub(crate) fn message(&self) -> Cow<'static, str> {
        match self.kind() {
            Self::Invalid(why) => why.clone(),
            Self::Internal(_) => Cow::Borrowed("internal error"),
            rejection => rejection.to_string().into(),
        }
    }
}

impl From<TopicError> for Rejection {
    /// Makes an [`Invalid`](Self::Invalid): the name was made of what the client sent.
    fn from(error: TopicError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<SubscribeError> for Rejection {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::NoTopics | SubscribeError::Topic(_) | SubscribeError::Pattern(_) => {
                Self::invalid(error.to_string())
            }
            SubscribeError::NotFollowed(_) | SubscribeError::Covered(_) | SubscribeError::OwnCursor(_) => {
                Self::internal(error.to_string())
            }
            SubscribeError::TooManyTopics { .. } | SubscribeError::Closed => {
                Self::Busy { retry_after: Duration::from_secs(5) }
            }
        }
    }
}
