use std::borrow::Cow;
use std::time::Duration;

use crate::contract::SubscribeError;
use crate::model::TopicError;

/// Why a client does not get what it asked for. Each transport tells it in its own way.
///
/// | | HTTP status | WebSocket, once open |
/// |---|---|---|
/// | `Unauthorized` | 401 with `WWW-Authenticate` | close 1008 |
/// | `Forbidden` | 403 | close 1008 |
/// | `NotFound` | 404 | close 1008 |
/// | `Busy` | 503 with `Retry-After`; to an EventSource a soft reject, 200 with `retry:` | close 1013 |
/// | `Gone` | 410 | close 1008 |
/// | `Invalid` | 400 | close 1008 |
/// | `Internal` | 500; the reason is not told | close 1011 |
///
/// A WebSocket's handshake gets the status too, before it is open. Except from a page, which is told by its `Origin`: its
/// script can't see a status, so what would be a close with 1008 is one, on a connection that was opened for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// It must say who it is first.
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
