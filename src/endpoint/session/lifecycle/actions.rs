use crate::endpoint::session::{SessionEnd, SessionState};

/// Work for the caller of [`Lifecycle::handle`](super::Lifecycle::handle).
///
/// The counts are changed under the session's lock. Everything else follows after it.
#[derive(Debug, Default, PartialEq)]
#[must_use]
pub(in crate::endpoint::session) struct Actions {
    /// Reason why the input has no effect, if so.
    pub(in crate::endpoint::session) no_effect: Option<NoEffect>,
    /// State that the session was counted in before the input.
    pub(in crate::endpoint::session) before: Option<SessionState>,
    /// State that the session is counted in from now on, unless it has left.
    pub(in crate::endpoint::session) after: Option<SessionState>,
    /// The session leaves the table for this reason, and the publisher's `left` is called.
    pub(in crate::endpoint::session) left: Option<SessionEnd>,
    /// The session's tasks are woken.
    pub(in crate::endpoint::session) wakes: bool,
    /// The publisher is to be asked to renew the authorization.
    pub(in crate::endpoint::session) renews: bool,
    /// The stream is dropped, unless it is being polled.
    pub(in crate::endpoint::session) takes_stream: bool,
    /// The session has ended, and needs nothing that it holds.
    pub(in crate::endpoint::session) ends: bool,
    /// The write timeout ended the session, which is counted.
    pub(in crate::endpoint::session) counts_stall: bool,
    /// The client of a body takes nothing, though the HTTP stack may hold the body.
    pub(in crate::endpoint::session) stalls_body: bool,
    /// Bytes that were written and not counted yet.
    pub(in crate::endpoint::session) sent: u64,
}

/// Reason why an input has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoEffect {
    /// The session ends, or has ended.
    Ended,
    /// Too many polls of the session are under way.
    TooManyPolls,
}

impl Actions {
    /// Returns whether there is nothing to do.
    pub(in crate::endpoint::session) fn are_none(&self) -> bool {
        *self == Self { no_effect: self.no_effect, before: self.after, after: self.after, ..Self::default() }
    }

    /// Notes that the input has no effect.
    pub(in crate::endpoint::session) fn skip(&mut self, no_effect: NoEffect) {
        self.no_effect = Some(no_effect);
    }
}
