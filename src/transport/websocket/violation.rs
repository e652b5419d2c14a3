use super::CloseCode;

/// Close code and reason for a client that broke the protocol or exceeded a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) code: CloseCode,
    pub(super) reason: &'static str,
}

impl Violation {
    pub(super) const NOT_UTF8: Self = Self { code: CloseCode::NOT_UTF8, reason: "not UTF-8" };
    pub(super) const TOO_BIG: Self = Self { code: CloseCode::TOO_BIG, reason: "message too big" };
    pub(super) const TOO_MANY_FRAGMENTS: Self = Self { code: CloseCode::POLICY, reason: "too many fragments" };
    pub(super) const TOO_MANY_CONTROLS: Self = Self { code: CloseCode::POLICY, reason: "too many control frames" };
    pub(super) const TOO_MANY_MESSAGES: Self = Self { code: CloseCode::POLICY, reason: "too many messages" };
    pub(super) const MESSAGE_TOO_SLOW: Self = Self { code: CloseCode::POLICY, reason: "message not finished in time" };

    pub(super) fn protocol(reason: &'static str) -> Self {
        Self { code: CloseCode::PROTOCOL, reason }
    }
}
