use std::borrow::Cow;
use std::time::Duration;

use http::header::{ALLOW, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderName, HeaderValue, StatusCode};

use super::RefusalCause;
use super::challenge::Challenge;
use crate::contract::{Rejection, Transport};

/// Refusal of a request: a status, the text for the client, and the headers that the status needs.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) cause: RefusalCause,
    pub(crate) status: StatusCode,
    /// Text for the client.
    pub(crate) message: Cow<'static, str>,
    /// Reason for the operator, if it is more exact than the client's. Boxed because most refusals have none.
    log: Option<Box<Cow<'static, str>>>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Time after which the client is to retry. `None` if the refusal is final.
    pub(crate) retry_after: Option<Duration>,
    /// Whether a client of server-sent events gets the status too, in place of a soft reject.
    pub(crate) is_hard: bool,
    /// Rejection of the publisher, if it rejected the request.
    pub(crate) rejection: Option<Rejection>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        let (cause, message) = (RefusalCause::Request, message.into());
        Self {
            cause,
            status,
            message,
            log: None,
            headers: Vec::new(),
            retry_after: None,
            is_hard: false,
            rejection: None,
        }
    }

    pub(crate) fn bad(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn method(allowed: &'static str) -> Self {
        let message = format!("method not allowed: use {allowed}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, message).with_header(ALLOW, HeaderValue::from_static(allowed))
    }

    /// Returns the refusal of a transport that the client named: 400.
    pub(crate) fn not_offered(transport: Transport) -> Self {
        Self::bad(format!("transport {} is not offered here: choose another, or none", transport.as_str()))
    }

    /// Returns the refusal of an extended CONNECT with an unknown protocol: 501 (RFC 8441 §4).
    pub(crate) fn protocol() -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "unknown protocol: the only one is websocket")
    }

    /// Returns a 426 with `Upgrade` (RFC 9110 §15.5.22) and the supported version (RFC 6455 §4.4).
    pub(crate) fn upgrade(message: &'static str) -> Self {
        Self::new(StatusCode::UPGRADE_REQUIRED, message)
            .with_header(UPGRADE, HeaderValue::from_static("websocket"))
            .with_header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
    }

    /// Returns a 503 with `Retry-After`.
    pub(crate) fn retry_later(retry: Duration) -> Self {
        // Retry-After has whole seconds. It is rounded up so that no client retries too early.
        let seconds = retry.as_secs().saturating_add(u64::from(retry.subsec_nanos() > 0));
        let busy = Self::new(StatusCode::SERVICE_UNAVAILABLE, "server is busy: retry later");
        Self { cause: RefusalCause::Busy, retry_after: Some(retry), ..busy.with_header(RETRY_AFTER, seconds.into()) }
    }

    pub(crate) fn internal(message: &'static str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message).caused_by(RefusalCause::Internal)
    }

    /// Returns a 500 for a failure of the application's code: a panic, or a subscriber that failed.
    pub(crate) fn failed(log: &'static str) -> Self {
        Self::internal("internal error").with_log(log).caused_by(RefusalCause::Publisher)
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Prevents a soft reject.
    pub(crate) fn hard(self) -> Self {
        Self { is_hard: true, ..self }
    }

    pub(crate) fn caused_by(self, cause: RefusalCause) -> Self {
        Self { cause, ..self }
    }

    /// Sets the text for the client.
    pub(crate) fn with_message(self, message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// Sets the reason for the operator. Default: the text for the client.
    pub(crate) fn with_log(self, log: impl Into<Cow<'static, str>>) -> Self {
        Self { log: Some(Box::new(log.into())), ..self }
    }

    /// Returns the reason for the operator.
    pub(crate) fn log_text(&self) -> &str {
        self.log.as_deref().unwrap_or(&self.message)
    }
}

impl Refusal {
    /// Returns the refusal of a publisher's rejection. `Unauthorized` has the challenge in `WWW-Authenticate`.
    pub(crate) fn of(rejection: Rejection, challenge: &Challenge) -> Self {
        let refusal = match rejection.kind() {
            Rejection::Unauthorized => challenge.add_to(Self::new(StatusCode::UNAUTHORIZED, "unauthorized")),
            Rejection::Forbidden => Self::new(StatusCode::FORBIDDEN, "forbidden"),
            Rejection::NotFound => Self::new(StatusCode::NOT_FOUND, "not found"),
            Rejection::Gone => Self::new(StatusCode::GONE, "gone"),
            Rejection::Invalid(message) => Self::bad(message.clone()),
            Rejection::Busy { retry_after } => Self::retry_later(*retry_after),
            // Without POST, although OPTIONS of the same URL lists it: OPTIONS does not ask the publisher.
            Rejection::Unsupported => Self::method("GET, HEAD, OPTIONS").with_message("messages are not taken here"),
            // The reason is for the log only.
            Rejection::Internal(_) | Rejection::Closing(_) => Self::internal("internal error"),
        };
        let log = log_of(&rejection).map(Box::new);
        Self { cause: RefusalCause::Publisher, log, rejection: Some(rejection), ..refusal }
    }
}

/// Returns the reason for the operator, if it is more exact than the client's text.
pub(crate) fn log_of(rejection: &Rejection) -> Option<Cow<'static, str>> {
    match rejection.kind() {
        Rejection::Internal(message) => Some(message.clone()),
        Rejection::Busy { .. } => Some(rejection.to_string().into()),
        _ => None,
    }
}
