use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::contract::{PublishError, SubscribeError};
use crate::model::{EventError, PatternError, TopicError};

/// Time after which a client retries that found the hub full, closed or not reachable.
const LATER: Duration = Duration::from_secs(5);

/// The reason why the application refuses a request or a message.
///
/// It is no `std::error::Error`, so that the `?` operator can make one of any error.
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
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// The client must authenticate first.
    Unauthorized,
    /// The client may not read this.
    Forbidden,
    /// There is no such resource, or the client may not know of it.
    NotFound,
    /// The client is to retry later.
    Busy {
        /// Time until the retry.
        retry_after: Duration,
    },
    /// The resource is gone for good.
    Gone,
    /// The request is not valid. The text is sent to the client.
    Invalid(Cow<'static, str>),
    /// The application failed. The text is for the log and is not sent to the client.
    Internal(Cow<'static, str>),
    /// The application takes no messages. The default [`Publisher::receive`](crate::Publisher::receive) returns it.
    Unsupported,
    /// A rejection after which a WebSocket is closed, see [`closing`](Self::closing).
    Closing(Box<Self>),
}

impl Rejection {
    /// Returns a rejection of a request that is not valid. The text is sent to the client.
    #[must_use]
    pub fn invalid(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid(why.into())
    }

    /// Returns a rejection because the application failed. The text is not sent to the client.
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

/// The `?` operator makes a rejection of any error:
///
/// | error | rejection |
/// |---|---|
/// | [`TopicError`], [`PatternError`], [`EventError`]: a name or payload from the request is not valid | [`Invalid`](Self::Invalid), with the error's text |
/// | [`SubscribeError`], [`PublishError`]: the hub is closed, full or cannot be reached | [`Busy`](Self::Busy), 5 s |
/// | [`SubscribeError`], [`PublishError`]: other reasons | `Invalid` if it is a name or a size, else [`Internal`](Self::Internal) |
/// | any other | `Internal`: the client gets 500, the text of the error and its sources goes to [`on_refusal`](crate::EndpointBuilder::on_refusal) |
impl<E: Error + Send + Sync + 'static> From<E> for Rejection {
    fn from(error: E) -> Self {
        let any: &dyn Any = &error;
        if let Some(error) = any.downcast_ref::<SubscribeError>() {
            return Self::of_subscribe(error);
        }
        if let Some(error) = any.downcast_ref::<PublishError>() {
            return Self::of_publish(error);
        }
        if any.is::<TopicError>() || any.is::<PatternError>() || any.is::<EventError>() {
            return Self::invalid(error.to_string());
        }
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.extend([": ", &cause.to_string()]);
            source = cause.source();
        }
        Self::internal(text)
    }
}

impl Rejection {
    fn of_subscribe(error: &SubscribeError) -> Self {
        match error {
            SubscribeError::NoTopics | SubscribeError::Topic(_) | SubscribeError::Pattern(_) => {
                Self::invalid(error.to_string())
            }
            SubscribeError::NotFollowed(_) | SubscribeError::Covered(_) | SubscribeError::OwnCursor(_) => {
                Self::internal(error.to_string())
            }
            SubscribeError::TooManyTopics { .. } | SubscribeError::Closed => Self::Busy { retry_after: LATER },
        }
    }

    fn of_publish(error: &PublishError) -> Self {
        match error {
            PublishError::Topic(_) | PublishError::TooLarge { .. } => Self::invalid(error.to_string()),
            PublishError::OutcomeUnknown(_) => Self::internal(error.to_string()),
            PublishError::Closed
            | PublishError::Unavailable(_)
            | PublishError::Full { .. }
            | PublishError::TooManyTopics { .. } => Self::Busy { retry_after: LATER },
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthorized => f.write_str("unauthorized"),
            Self::Forbidden => f.write_str("forbidden"),
            Self::NotFound => f.write_str("not found"),
            Self::Busy { retry_after } => write!(f, "busy, retry after {} ms", retry_after.as_millis()),
            Self::Gone => f.write_str("gone"),
            Self::Invalid(why) => write!(f, "invalid request: {why}"),
            Self::Internal(why) => write!(f, "internal error: {why}"),
            Self::Unsupported => f.write_str("messages are not taken here"),
            Self::Closing(rejection) => rejection.fmt(f),
        }
    }
}
