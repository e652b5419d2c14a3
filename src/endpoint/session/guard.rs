#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::entry::SessionEntry;
use super::instruments::Arrival;
use super::lifecycle::{Input, NoEffect, Phase, Registration};
use super::metered::MeteredSubscriber;
use super::polls::PollEntry;
use super::recovery;
use super::session_table::NoPlace;
use super::{Session, SessionEnd};
use crate::contract::{BoxSubscriber, Start, Subscriber};
use crate::endpoint::accepted::Accepted;
use crate::endpoint::shared::Shared;

/// A session as its own task holds it, or one poll of a poll session. Dropping it ends the session, or the poll.
#[repr(C)]
pub(crate) struct SessionGuard {
    /// Reason of the end when this is dropped, unless there is another.
    why: SessionEnd,
    /// The task that the session wakes. It is kept here too, so that nothing is locked to see that it is still this one.
    task: Option<Waker>,
    poll: Option<Arc<PollEntry>>,
    // Last, beside the fields that a body has after this: a delivery touches nothing else here.
    entry: Arc<SessionEntry>,
}

/// Order to the task of a session that is no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// End in order.
    Leave,
    /// End now.
    Cut,
    /// End now, and tell the client that the authorization is revoked.
    Revoke,
}

impl SessionGuard {
    /// Returns a session that stays outside the table.
    #[inline(always)]
    pub(crate) fn outside(shared: &Arc<Shared>, session: Session, begin: Instant, expires: Option<Instant>) -> Self {
        Self::of(Arc::new(SessionEntry::new(shared, session, begin, expires, None, Registration::Outside)), None)
    }

    /// Returns a session that is to [join](Self::join) the table.
    #[inline(always)]
    pub(crate) fn joining(shared: &Arc<Shared>, session: Session, begin: Instant, expires: Option<Instant>) -> Self {
        Self::of(Arc::new(SessionEntry::new(shared, session, begin, expires, None, Registration::Joining)), None)
    }

    /// Returns the first poll of a poll session that is to [join](Self::join) the table.
    pub(crate) fn first_poll(shared: &Arc<Shared>, session: Session, begin: Instant, expires: Option<Instant>) -> Self {
        let poll = PollEntry::new(session.clone(), expires);
        let entry = SessionEntry::new(shared, session, begin, None, Some(poll.clone()), Registration::Joining);
        Self::of(Arc::new(entry), Some(poll))
    }

    /// Begins another poll of a poll session. `session` is the poll's handle of it.
    pub(crate) fn next_poll(
        entry: Arc<SessionEntry>,
        session: Session,
        expires: Option<Instant>,
    ) -> Result<Self, NoEffect> {
        let poll = PollEntry::new(session, expires);
        entry.begin_poll(&poll)?;
        Ok(Self::of(entry, Some(poll)))
    }

    fn of(entry: Arc<SessionEntry>, poll: Option<Arc<PollEntry>>) -> Self {
        Self { entry, poll, task: None, why: SessionEnd::Gone }
    }

    /// Takes a place in the table and calls the publisher's `joined`.
    pub(crate) fn join(self, arrival: &Arrival) -> Result<Self, NoPlace> {
        self.entry.join(arrival)?;
        Ok(self)
    }

    /// Waits until the publisher's `joined` has returned for the poll session.
    pub(crate) async fn joined(&self) {
        if let Some(poll) = &self.poll {
            poll_fn(|cx| self.entry.poll_joined(poll, cx)).await;
        }
    }

    /// Returns the subscriber that the session's transport reads.
    pub(crate) fn subscriber(&self, mut accepted: Accepted<BoxSubscriber>, start: Start) -> MeteredSubscriber {
        let throttle = accepted.take_throttle();
        let acknowledged =
            start.cursor().filter(|cursor| self.entry.is_listed && accepted.subscriber.cursor() == Some(*cursor));
        let feed = recovery::feed(&self.entry, self.poll.clone(), accepted, start);
        let mut subscriber = MeteredSubscriber::new(feed, &self.entry);
        if let Some(cursor) = acknowledged {
            self.entry.track.acknowledge(cursor);
        }
        if let Some(interval) = throttle {
            subscriber.set_throttle(interval);
        }
        subscriber
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.entry.shared
    }

    pub(crate) fn entry(&self) -> &Arc<SessionEntry> {
        &self.entry
    }

    /// Returns the end of the authorization.
    pub(crate) fn expires(&self) -> Option<Instant> {
        self.poll.as_ref().map_or_else(|| self.entry.expires(), |poll| poll.expires)
    }

    /// Sets the reason of the end, if there is no other.
    pub(crate) fn ends(&mut self, why: SessionEnd) {
        self.why = why;
    }

    /// Returns whether the session is no longer open. If it is, the task of `cx` is woken when that changes.
    #[inline]
    pub(crate) fn poll_ending(&mut self, cx: &Context<'_>) -> bool {
        match &self.task {
            // The end of `joined` wakes the polls of a poll session and leaves no signal, so each one registers again.
            Some(task) if self.poll.is_none() && task.will_wake(cx.waker()) => {}
            _ => self.register(cx.waker()),
        }
        // Revokes the session if its authorization has expired.
        self.entry.is_shut();
        (self.entry.has_signal() && self.heed_signal(cx.waker())) || self.has_poll_expired()
    }

    /// Does what the session's signals are for. Returns whether the session is no longer open.
    #[cold]
    pub(crate) fn heed_signal(&mut self, task: &Waker) -> bool {
        // The wake that came with the signal has taken the waker.
        self.register(task);
        self.entry.heed_signal(task)
    }

    /// Returns the order to a session that is no stream.
    #[inline]
    pub(crate) fn poll_order(&mut self, cx: &Context<'_>) -> Poll<Order> {
        match self.poll_ending(cx) {
            true => self.order().map_or(Poll::Pending, Poll::Ready),
            false => Poll::Pending,
        }
    }

    #[cold]
    fn order(&self) -> Option<Order> {
        match self.entry.phase() {
            Phase::Revoked => Some(Order::Revoke),
            _ if self.has_poll_expired() => Some(Order::Revoke),
            Phase::Open => None,
            Phase::Leaving(_) => Some(Order::Leave),
            Phase::Flushing(_) | Phase::Broken(_) | Phase::Cut(_) | Phase::Over => Some(Order::Cut),
        }
    }

    /// Returns the order that forbids an answer, if there is one. The caller has taken the last event before: events that
    /// came after the order were withheld.
    pub(crate) fn cut_off(&self) -> Option<Order> {
        self.entry.is_shut();
        let is_ending = self.entry.has_signal() || self.has_poll_expired();
        if is_ending { self.order().filter(|&order| order != Order::Leave) } else { None }
    }

    fn has_poll_expired(&self) -> bool {
        self.poll.as_ref().is_some_and(|poll| poll.has_expired(&self.entry.shared.runtime.wheel))
    }

    /// Registers the task that is woken when the session is no longer open.
    #[cold]
    pub(crate) fn register(&mut self, task: &Waker) {
        match &self.poll {
            Some(poll) => poll.task.register(task),
            None => self.entry.register(task),
        }
        self.task = Some(task.clone());
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        match &self.poll {
            Some(poll) => self.entry.end_poll(poll),
            None => drop(self.entry.give(Input::End(self.why))),
        }
        self.entry.count_written();
    }
}
