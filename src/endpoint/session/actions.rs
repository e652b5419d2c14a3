use super::{SessionEnd, SessionState};

/// Work for the caller of [`Lifecycle::handle`](super::lifecycle::Lifecycle::handle).
///
/// The counts are changed under the session's lock. Everything else follows after it.
#[derive(Debug, Default, PartialEq)]
#[must_use]
pub(super) struct Actions {
    /// Reason why the input has no effect, if so.
    pub(super) no_effect: Option<NoEffect>,
    /// State that the session was counted in before the input.
    pub(super) before: Option<SessionState>,
    /// State that the session is counted in from now on, unless it has left.
    pub(super) after: Option<SessionState>,
    /// The session leaves the table for this reason, and the publisher's `left` is called.
    pub(super) left: Option<SessionEnd>,
    /// The session's tasks are woken.
    pub(super) wakes: bool,
    /// The stream is dropped, unless it is being polled.
    pub(super) takes_stream: bool,
    /// The session has ended, and needs nothing that it holds.
    pub(super) ends: bool,
    /// The write timeout ended the session, which is counted.
    pub(super) counts_stall: bool,
    /// The client of a body takes nothing, though the HTTP stack may hold the body.
    pub(super) stalls_body: bool,
    /// Bytes that were written and not counted yet.
    pub(super) sent: u64,
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
    /// Notes that the input has no effect.
    pub(super) fn skip(&mut self, no_effect: NoEffect) {
        self.no_effect = Some(no_effect);
    }
}
