use std::borrow::Cow;
use std::time::Duration;

use http::header::{ALLOW, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderName, HeaderValue, StatusCode};

use super::refused::RefusalCause;
use crate::contract::Rejection;
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
use crate::contract::Transport;
#[cfg(any(feature = "short-poll", feature = "long-poll"))]
use crate::endpoint::request::transports::Transports;
use crate::endpoint::response::challenge::Challenge;

/// Why a request is not answered as it would be: a status, what the client is told, and what headers the status needs.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) cause: RefusalCause,
    pub(crate) status: StatusCode,
    pub(crate) why: Cow<'static, str>,
    /// The reason for the operator, where it says more than the client's. Boxed, since most have none.
    log: Option<Box<Cow<'static, str>>>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// "Later", and when. A client that would take a status for final is told in another way.
    pub(crate) later: Option<Duration>,
    /// The publisher's own word, where it is one.
    pub(crate) rejection: Option<Rejection>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, why: impl Into<Cow<'static, str>>) -> Self {
        let (cause, why) = (RefusalCause::Request, why.into());
        Self { cause, status, why, log: None, headers: Vec::new(), later: None, rejection: None }
    }

    pub(crate) fn bad(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    /// Returns a 400 for a poll of a source without cursors, with the transports that work.
    #[cfg(any(feature = "short-poll", feature = "long-poll"))]
    #[cold]
    pub(crate) fn no_cursors(here: Transports) -> Self {
        let streams = [
            (Transport::Sse, "SSE (Accept: text/event-stream)"),
            (Transport::Chunked, "NDJSON (Accept: application/x-ndjson)"),
            (Transport::WebSocket, "a WebSocket"),
        ];
        let mut why =
            "the events have no cursors and their source has not ended, so a poll would lose the rest".to_owned();
        let mut named = 0;
        for (_, name) in streams.into_iter().filter(|(each, _)| here.has(*each)) {
            why.push_str(if named == 0 { ": use " } else { ", " });
            why.push_str(name);
            named += 1;
        }
        if named == 0 {
            why.push_str(", and no other transport is offered here");
        }
        Self::bad(why)
    }

    pub(crate) fn method(allowed: &'static str) -> Self {
        let why = format!("the methods here are {allowed}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, why).with(ALLOW, HeaderValue::from_static(allowed))
    }

    /// RFC 8441 §4: a protocol that is not known.
    pub(crate) fn protocol() -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "the only protocol to connect by is websocket")
    }

    /// The status 426 needs the header (RFC 9110 §15.5.22), a WebSocket client the version (RFC 6455 §4.4).
    pub(crate) fn upgrade(why: &'static str) -> Self {
        Self::new(StatusCode::UPGRADE_REQUIRED, why)
            .with(UPGRADE, HeaderValue::from_static("websocket"))
            .with(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
    }

    pub(crate) fn later(retry: Duration) -> Self {
        // Whole seconds, and not before the time meant.
        let seconds = retry.as_secs().saturating_add(u64::from(retry.subsec_nanos() > 0));
        let busy = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy, come back later");
        Self { cause: RefusalCause::Busy, later: Some(retry), ..busy.with(RETRY_AFTER, seconds.into()) }
    }

    pub(crate) fn internal(why: &'static str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, why).caused_by(RefusalCause::Internal)
    }

    /// Returns a 500 for a failure of the application's code: a panic, or a subscriber that failed.
    pub(crate) fn failed(log: &'static str) -> Self {
        Self::internal("internal error").logged(log).caused_by(RefusalCause::Publisher)
    }

    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn caused_by(self, cause: RefusalCause) -> Self {
        Self { cause, ..self }
    }

    /// Sets the text for the client.
    pub(crate) fn why(self, why: impl Into<Cow<'static, str>>) -> Self {
        Self { why: why.into(), ..self }
    }

    /// Sets the reason for the operator, in place of the client's.
    pub(crate) fn logged(self, log: impl Into<Cow<'static, str>>) -> Self {
        Self { log: Some(Box::new(log.into())), ..self }
    }

    /// Returns the reason for the operator.
    pub(crate) fn text(&self) -> &str {
        self.log.as_deref().unwrap_or(&self.why)
    }
}

impl Refusal {
    /// Returns the refusal of a rejection. `Unauthorized` has the challenge to authenticate.
    pub(crate) fn of(rejection: Rejection, challenge: &Challenge) -> Self {
        let refusal = match rejection.kind() {
            Rejection::Unauthorized => challenge.put(Self::new(StatusCode::UNAUTHORIZED, "unauthorized")),
            Rejection::Forbidden => Self::new(StatusCode::FORBIDDEN, "forbidden"),
            Rejection::NotFound => Self::new(StatusCode::NOT_FOUND, "not found"),
            Rejection::Gone => Self::new(StatusCode::GONE, "gone"),
            Rejection::Invalid(why) => Self::bad(why.clone()),
            Rejection::Busy { retry_after } => Self::later(*retry_after),
            // Without POST, although OPTIONS of the same URL names it: only the publisher knows, and OPTIONS does not ask it.
            Rejection::Unsupported => Self::method("GET, HEAD, OPTIONS").why("messages are not taken here"),
            // Why is for the log.
            Rejection::Internal(_) | Rejection::Closing(_) => Self::internal("internal error"),
        };
        let log = log_of(&rejection).map(Box::new);
        Self { cause: RefusalCause::Publisher, log, rejection: Some(rejection), ..refusal }
    }
}

/// Returns the text of a rejection for the operator, if it says more than the client's.
pub(crate) fn log_of(rejection: &Rejection) -> Option<Cow<'static, str>> {
    match rejection.kind() {
        Rejection::Internal(why) => Some(why.clone()),
        Rejection::Busy { .. } => Some(rejection.to_string().into()),
        _ => None,
    }
}
