//! The polls of a poll session, some of them at once.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use atomic_waker::AtomicWaker;

use super::Session;
use super::entry::SessionEntry;
use super::lifecycle::{Input, NoEffect};
use crate::endpoint::time::wheel::Wheel;
use crate::time::Clock;

/// One poll of a poll session.
#[derive(Debug)]
pub(crate) struct PollEntry {
    /// The task that is woken when the session has a signal.
    pub(super) task: AtomicWaker,
    /// The session with the data that this poll was accepted with.
    pub(super) session: Session,
    /// End of the authorization of this poll. That of the other polls may differ.
    pub(super) expires: Option<Instant>,
}

/// The polls that are under way.
#[derive(Debug)]
pub(super) struct Polls(Vec<Arc<PollEntry>>);

impl PollEntry {
    pub(super) fn new(session: Session, expires: Option<Instant>) -> Arc<Self> {
        Arc::new(Self { task: AtomicWaker::new(), session, expires })
    }

    /// Returns whether the authorization of this poll has expired.
    pub(super) fn has_expired(&self, wheel: &Wheel) -> bool {
        self.expires.is_some_and(|at| at <= wheel.now())
    }
}

impl Polls {
    pub(super) fn of(first: Arc<PollEntry>) -> Self {
        Self(vec![first])
    }

    pub(super) fn under_way(&self) -> Vec<Arc<PollEntry>> {
        self.0.clone()
    }
}

impl SessionEntry {
    /// Begins a further poll.
    pub(super) fn begin_poll(self: &Arc<Self>, poll: &Arc<PollEntry>) -> Result<(), NoEffect> {
        let now = self.time_of(Input::BeginPoll);
        let mut locked = self.locked.lock();
        let actions = locked.lifecycle.handle(Input::BeginPoll, now, &self.shared.timeouts);
        if let Some(polls) = locked.polls().filter(|_| actions.no_effect.is_none()) {
            polls.0.push(poll.clone());
        }
        self.perform(locked, &actions).map_or(Ok(()), Err)
    }

    /// Ends a poll. After the last one the session waits for the next, unless it is to end.
    pub(super) fn end_poll(self: &Arc<Self>, poll: &Arc<PollEntry>) {
        let now = self.time_of(Input::EndPoll);
        let mut locked = self.locked.lock();
        if let Some(polls) = locked.polls() {
            polls.0.retain(|other| !Arc::ptr_eq(other, poll));
        }
        let actions = locked.lifecycle.handle(Input::EndPoll, now, &self.shared.timeouts);
        self.perform(locked, &actions);
    }

    /// Ready when `joined` has returned. No poll of the session is answered before that.
    pub(super) fn poll_joined(&self, poll: &PollEntry, cx: &Context<'_>) -> Poll<()> {
        poll.task.register(cx.waker());
        match self.locked.lock().lifecycle.is_joining() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }
}
