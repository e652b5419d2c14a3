use std::fmt;

use crate::contract::{Rejection, SubscriptionEnd};

/// A close code that may stand in a Close frame (RFC 6455 §7.4, and the registry that it founds).
///
/// Clients that come back by themselves tell by it whether to: 1011, 1012 and 1013 are the codes after which all known
/// ones do, 1000 and 1008 those after which some don't.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// 1007: a text that is not UTF-8.
    pub const NOT_UTF8: Self = Self(1007);
    /// 1008: refused.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message that is too big.
    pub const TOO_BIG: Self = Self(1009);
    /// 1011: the server can't do what it should.
    pub const INTERNAL: Self = Self(1011);
    /// 1012: the server restarts; come back.
    pub const RESTART: Self = Self(1012);
    /// 1013: not now; come back later.
    pub const TRY_LATER: Self = Self(1013);

    /// The code of that number: 1000–1003, 1007–1014, and 3000–4999, which are libraries' and applications'. `None` for
    /// numbers that must not be sent.
    #[must_use]
    pub fn new(code: u16) -> Option<Self> {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999).then_some(Self(code))
    }

    /// The number.
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

/// How a WebSocket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// Cause of the end, and the side that ended the connection.
    pub cause: CloseCause,
    /// The code of the Close frame that began the end: ours, or the client's where the cause is
    /// [`CloseCause::Client`]. `None` where there was no such frame, or none with a code.
    pub code: Option<CloseCode>,
    /// Whether Close frames went both ways, so that both sides know of it.
    pub clean: bool,
}

/// Cause of a WebSocket's end, and the side that ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseCause {
    /// The client sent Close.
    Client,
    /// The connection broke off, or ended without a Close frame.
    Lost,
    /// [`close`](super::WebSocketSink::close) or [`bye`](super::WebSocketSink::bye) was called.
    Asked,
    /// The subscriber came to its end: 1000, 1013 where it was too slow, or 1011 where it failed.
    End(SubscriptionEnd),
    /// Events were gone, and raw frames can't say so: 1013.
    Gap,
    /// The handler returned a [closing](crate::Rejection::is_closing) rejection, or
    /// [`refuse`](super::WebSocketSink::refuse) was called: 1008, 1011 or 1013.
    Rejected,
    /// The client broke the protocol or went over a limit: 1002, 1007, 1008 or 1009.
    Violation,
    /// A ping was not answered in time.
    NoPong,
    /// The client took nothing for as long as a write may stall.
    Stalled,
}

/// The longest reason that fits in a control frame beside its code (RFC 6455 §5.5), in bytes.
const MAX_REASON: usize = 123;

/// As much of a reason as fits, cut between characters.
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
