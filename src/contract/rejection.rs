use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::contract::{PublishError, RunError, SubscribeError};
use crate::model::{EventError, PatternError, TopicError};

/// Retry time of a client if the hub is full, closed or not reachable.
const LATER: Duration = Duration::from_secs(5);

/// Reason why the application rejects a request or a message.
///
/// `Rejection` does not implement `std::error::Error`, so that the `?` operator can convert any type that does:
///
/// ```
/// use tidings::{Rejection, Topic};
///
/// fn room(name: &str) -> Result<Topic, Rejection> {
///     if name == "staff" {
///         return Err(Rejection::Forbidden);
///     }
///     Ok(Topic::from_segments(["rooms", name])?)
/// }
///
/// assert_eq!(room("staff"), Err(Rejection::Forbidden));
/// assert_eq!(room("7/private"), Err(Rejection::invalid("topic segment contains '/'")));
/// ```
///
/// | | HTTP status | `code` of a WebSocket message | closing a WebSocket |
/// |---|---|---|---|
/// | `Unauthorized` | 401 with `WWW-Authenticate` | always closes | 1008 |
/// | `Forbidden` | 403 | `forbidden` | 1008 |
/// | `NotFound` | 404 | `not_found` | 1008 |
/// | `Busy` | 503 with `Retry-After`; for an `EventSource` a soft reject, 200 with `retry:` | `busy`, with `retry_ms` | 1013 |
/// | `Gone` | 410 | `gone` | 1008 |
/// | `Invalid` | 400 | `invalid` | 1008 |
/// | `Internal` | 500, without the text | `internal`, without the text | 1011 |
/// | `Unsupported` | 405 | ignored, and counted | 1008 |
///
/// A rejected WebSocket message does not close the connection, unless the rejection is `Unauthorized` or
/// [`closing`](Self::closing). Under `tidings.v1` the client receives
/// `{"tidings":"error","code":"forbidden","message":"forbidden"}` in the order of its messages. A client of raw frames
/// receives nothing, because these carry payloads only. Answer with an event if it must be informed.
///
/// A rejected [change of topics](crate::transport::websocket#changing-topics) never closes the connection: the client
/// keeps its topics, and receives the error object with `topics`.
///
/// The handshake of a WebSocket is answered with the status. If it has an `Origin`, it comes from a page, whose script cannot
/// read a status. In this case a rejection with the close code 1008 completes the handshake and closes the connection with
/// that code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// The client must authenticate first.
    Unauthorized,
    /// The client has no permission.
    Forbidden,
    /// The resource does not exist, or its existence is secret.
    NotFound,
    /// The client should retry later.
    Busy {
        /// Time until the retry.
        retry_after: Duration,
    },
    /// The resource was removed permanently.
    Gone,
    /// The request is not valid. The text is sent to the client.
    Invalid(Cow<'static, str>),
    /// The application failed. The text is for the log and is not sent to the client.
    Internal(Cow<'static, str>),
    /// The application does not support messages. The default [`Publisher::receive`](crate::Publisher::receive) returns it.
    Unsupported,
    /// Rejection after which a WebSocket is closed, see [`closing`](Self::closing).
    Closing(Box<Self>),
}

impl Rejection {
    /// Creates a rejection of a request that is not valid. The text is sent to the client.
    #[must_use]
    pub fn invalid(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid(why.into())
    }

    /// Creates a rejection for a failure of the application. The text is not sent to the client.
    #[must_use]
    pub fn internal(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Internal(why.into())
    }

    /// Marks the rejection as closing: the WebSocket closes after its message is rejected. It has no effect over HTTP.
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

    /// Returns whether a WebSocket closes after its message is rejected with this rejection.
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

    /// Returns the code of the rejection on the wire.
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
    #[cfg(feature = "object")]
    pub(crate) fn message(&self) -> Cow<'static, str> {
        match self.kind() {
            Self::Invalid(why) => why.clone(),
            Self::Internal(_) => Cow::Borrowed("internal error"),
            rejection => rejection.to_string().into(),
        }
    }
}

/// Converts any type that implements `std::error::Error`, for the `?` operator. `Box<dyn Error>` and `anyhow::Error` do not:
/// convert these by `map_err(|error| Rejection::internal(error.to_string()))`.
///
/// | error | rejection |
/// |---|---|
/// | [`TopicError`], [`PatternError`], [`EventError`]: a name or payload is not valid, which is taken for the request's | [`Invalid`](Self::Invalid), with the error's text |
/// | [`SubscribeError`], [`PublishError`]: the hub is closed, full or cannot be reached | [`Busy`](Self::Busy), 5 s |
/// | [`SubscribeError`], [`PublishError`]: other reasons | `Invalid` if it is a name or a size, else [`Internal`](Self::Internal) |
/// | [`RunError`]: the topic has no run | [`Gone`](Self::Gone) |
/// | [`RunError`]: too many runs are live, runs are drained, or the topic is not free | `Busy`, 5 s |
/// | others | `Internal`: the client receives 500, and [`on_refusal`](crate::EndpointBuilder::on_refusal) receives the text of the error and its sources |
impl<E: Error + Send + Sync + 'static> From<E> for Rejection {
    fn from(error: E) -> Self {
        let any: &dyn Any = &error;
        if let Some(error) = any.downcast_ref::<SubscribeError>() {
            return Self::of_subscribe(error);
        }
        if let Some(error) = any.downcast_ref::<PublishError>() {
            return Self::of_publish(error);
        }
        if let Some(error) = any.downcast_ref::<RunError>() {
            return Self::of_run(error);
        }
        if let Some(error @ EventError::NotSerializable { .. }) = any.downcast_ref::<EventError>() {
            return Self::internal(error.to_string());
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

    fn of_run(error: &RunError) -> Self {
        match error {
            RunError::Topic(error) => Self::invalid(error.to_string()),
            RunError::Subscribe(error) => Self::of_subscribe(error),
            RunError::Busy { .. } | RunError::Draining | RunError::Ended(_) => Self::Busy { retry_after: LATER },
            RunError::Gone(_) => Self::Gone,
            RunError::NoSpawner | RunError::NotForRuns(_) => Self::internal(error.to_string()),
        }
    }

    fn of_publish(error: &PublishError) -> Self {
        match error {
            PublishError::Topic(_) | PublishError::TooLarge { .. } => Self::invalid(error.to_string()),
            PublishError::Finished(_) => Self::Gone,
            PublishError::KeyRequired(_)
            | PublishError::TtlUnsupported(_)
            | PublishError::NotKeyed(_)
            | PublishError::OutcomeUnknown(_)
            | PublishError::Unsupported => Self::internal(error.to_string()),
            PublishError::Closed
            | PublishError::Unavailable(_)
            | PublishError::Full { .. }
            | PublishError::TooManyTopics { .. }
            | PublishError::StateFull { .. } => Self::Busy { retry_after: LATER },
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
