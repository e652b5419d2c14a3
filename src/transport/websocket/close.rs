use std::fmt;

use crate::contract::{Rejection, SubscriptionEnd};

/// Close code that may be sent in a Close frame (RFC 6455 §7.4 and the IANA registry of close codes).
///
/// Clients that reconnect by themselves decide by the code. All known ones reconnect after 1011, 1012 and 1013. Some do not
/// reconnect after 1000 and 1008.
///
/// ```
/// use tidings::transport::websocket::CloseCode;
///
/// assert_eq!(CloseCode::new(1013), Some(CloseCode::TRY_LATER));
/// assert_eq!(CloseCode::new(1006), None, "1006 is not sent: a client reports it for a connection without a Close frame");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: normal closure.
    pub const NORMAL: Self = Self(1000);
    /// 1002: the client broke the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// 1007: a text message is not UTF-8.
    pub const NOT_UTF8: Self = Self(1007);
    /// 1008: the client broke a rule of the server.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message is too big.
    pub const TOO_BIG: Self = Self(1009);
    /// 1011: the server had an internal error.
    pub const INTERNAL: Self = Self(1011);
    /// 1012: the server restarts. The client may reconnect.
    pub const RESTART: Self = Self(1012);
    /// 1013: the server is overloaded. The client may reconnect later.
    pub const TRY_LATER: Self = Self(1013);

    /// Returns the code of this number if it may be sent: 1000–1003, 1007–1014, and 3000–4999, which belong to libraries and
    /// applications.
    #[must_use]
    pub fn new(code: u16) -> Option<Self> {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999).then_some(Self(code))
    }

    /// Returns the number of the code.
    #[must_use]
    pub fn as_u16(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

/// End of a WebSocket connection: the output of a [`WebSocketSink`](super::WebSocketSink).
///
/// ```
/// use tidings::transport::websocket::{CloseCause, Closed};
///
/// fn report(closed: Closed) {
///     if matches!(closed.cause, CloseCause::Violation | CloseCause::Stalled) {
///         eprintln!("connection ended by {:?} with code {:?}", closed.cause, closed.code);
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// Cause of the end.
    pub cause: CloseCause,
    /// Code of the first Close frame: the client's if the cause is [`CloseCause::Client`], else the server's. `None` if there
    /// was no such frame, or if it had no code.
    pub code: Option<CloseCode>,
    /// Whether both sides sent a Close frame.
    pub clean: bool,
}

/// Cause of the end of a WebSocket connection, see [`Closed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseCause {
    /// The client sent a Close frame.
    Client,
    /// The connection failed, or ended without a Close frame.
    Lost,
    /// [`close`](super::WebSocketSink::close) or [`bye`](super::WebSocketSink::bye) was called.
    Asked,
    /// The subscriber ended. Code 1000, 1013 if it was too slow, or 1011 if it failed.
    End(SubscriptionEnd),
    /// Events were missing, and raw frames have no gaps. Code 1013.
    Gap,
    /// The handler returned a [closing](crate::Rejection::is_closing) rejection, or
    /// [`refuse`](super::WebSocketSink::refuse) was called. Code 1008, 1011 or 1013.
    Rejected,
    /// The client broke the protocol or exceeded a limit. Code 1002, 1007, 1008 or 1009.
    Violation,
    /// A ping was not answered within its time.
    NoPong,
    /// The client read nothing for the [`write_timeout`](super::WebSocketConfig::write_timeout).
    Stalled,
}

/// Maximum length of a reason in bytes: a control frame has at most 125 bytes, and the code takes two (RFC 6455 §5.5).
const MAX_REASON: usize = 123;

/// Returns the first 123 bytes of a reason, or less so that no character is cut.
pub(super) fn cut(reason: &str) -> &str {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

/// Returns the close code and reason of a rejection on an open connection.
pub(super) fn of_rejection(rejection: &Rejection) -> (CloseCode, String) {
    match rejection.kind() {
        Rejection::Busy { .. } => (CloseCode::TRY_LATER, rejection.to_string()),
        Rejection::Internal(_) => (CloseCode::INTERNAL, "internal error".to_owned()),
        _ => (CloseCode::POLICY, rejection.to_string()),
    }
}

/// Returns the close code and reason of a subscriber's end.
pub(super) fn of_end(end: SubscriptionEnd) -> (CloseCode, &'static str) {
    match end {
        SubscriptionEnd::Closed | SubscriptionEnd::Finished => (CloseCode::NORMAL, "finished"),
        SubscriptionEnd::TooSlow => (CloseCode::TRY_LATER, "too slow"),
        SubscriptionEnd::Failed => (CloseCode::INTERNAL, "internal error"),
    }
}
