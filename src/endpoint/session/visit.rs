use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use atomic_waker::AtomicWaker;

use super::cell::Stage;
use super::member::Member;
use super::mend;
use super::registry::NoPlace;
use super::tracked::Tracked;
use super::turns::NoTurn;
use crate::contract::{BoxSubscriber, Start, Transport};
use crate::endpoint::publisher::Accepted;
use crate::endpoint::session::{Session, SessionEnd};
use crate::endpoint::shared::Shared;
use crate::time::Clock;

/// A session in the hands of its own task, or one poll of a run. The session ends when this is dropped; a run's poll does.
#[repr(C)]
pub(crate) struct Visit {
    /// Why the session ends when this is dropped, unless something else was the reason.
    why: SessionEnd,
    /// The task that the session wakes, kept here too so that nothing is locked to see that it is still this one.
    waker: Option<Waker>,
    /// Of a run's poll.
    turn: Option<Box<Turn>>,
    /// When the client's right ends.
    right: Option<Instant>,
    // Last, beside what a body has behind this: a delivery touches nothing else here.
    member: Arc<Member>,
}

/// One poll of a run.
struct Turn {
    bell: Arc<AtomicWaker>,
    /// The session with what this poll was accepted with.
    who: Session,
}

/// What a session that is no body is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// End in an orderly way.
    Leave,
    /// End now.
    Cut,
    /// End now, and say that the client's right is gone.
    Revoke,
}

impl Visit {
    /// A session of its own, which nobody knows of yet.
    #[inline(always)]
    pub(crate) fn alone(shared: &Arc<Shared>, who: Session, since: Instant, right: Option<Instant>) -> Self {
        Self::new(Arc::new(Member::new(shared, who, since, None)), None, right)
    }

    /// The first poll of a run.
    pub(crate) fn run(shared: &Arc<Shared>, who: Session, since: Instant, right: Option<Instant>) -> Self {
        let bell = Arc::<AtomicWaker>::default();
        let member = Member::new(shared, who.clone(), since, Some(bell.clone()));
        Self::new(Arc::new(member), Some(Turn { bell, who }), right)
    }

    /// Begins another poll of a run. `who` is the poll's handle of the session.
    pub(crate) fn turn(run: Arc<Member>, who: Session, right: Option<Instant>) -> Result<Self, NoTurn> {
        let bell = run.begin_turn()?;
        Ok(Self::new(run, Some(Turn { bell, who }), right))
    }

    fn new(member: Arc<Member>, turn: Option<Turn>, right: Option<Instant>) -> Self {
        Self { member, waker: None, turn: turn.map(Box::new), right, why: SessionEnd::Gone }
    }

    /// Takes a place in the registry, and has the publisher told.
    pub(crate) fn join(self) -> Result<Self, NoPlace> {
        let member = &self.member;
        member.join()?;
        let time = member.shared.config.jittered_lifetime().map(|time| member.shared.runtime.wheel.after(time));
        // A poll is not held beyond its right.
        let right = self
            .right
            .filter(|_| matches!(member.transport(), Transport::Chunked | Transport::Sse | Transport::WebSocket));
        member.set_term(right, time);
        Ok(self)
    }

    /// Ready when the publisher has been told of the run.
    pub(crate) async fn joined(&self) {
        if let Some(turn) = &self.turn {
            poll_fn(|cx| self.member.poll_joined(&turn.bell, cx)).await;
        }
    }

    /// What its transport is to read from.
    pub(crate) fn feed(&self, attach: Accepted<BoxSubscriber>, start: Start) -> Tracked {
        let turn = self.turn.as_ref().map(|turn| turn.who.clone());
        let feed = mend::feed(&self.member, turn, attach, start);
        Tracked::new(feed, &self.member, self.right)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.member.shared
    }

    pub(crate) fn member(&self) -> &Arc<Member> {
        &self.member
    }

    /// When the client's right ends.
    pub(crate) fn right(&self) -> Option<Instant> {
        self.right
    }

    /// Has it end for this reason, if for no other.
    pub(crate) fn ends(&mut self, why: SessionEnd) {
        self.why = why;
    }

    /// Whether the session is no longer merely open. The task of `cx` is woken when that, or more, comes to be.
    #[inline]
    pub(crate) fn poll_news(&mut self, cx: &Context<'_>) -> bool {
        match &self.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => self.listen(cx.waker()),
        }
        if self.right.is_some() {
            self.look_at_clock();
        }
        let news = self.member.has_news() || self.is_run_expired();
        if news {
            // Whoever had it woken has taken the waker.
            self.listen(cx.waker());
        }
        news
    }

    /// For a session that is no body: what it is to do.
    #[inline]
    pub(crate) fn poll_order(&mut self, cx: &Context<'_>) -> Poll<Order> {
        if !self.poll_news(cx) {
            return Poll::Pending;
        }
        match self.member.stage() {
            Stage::Revoked => Poll::Ready(Order::Revoke),
            _ if self.is_run_expired() => Poll::Ready(Order::Revoke),
            Stage::Open => Poll::Pending,
            Stage::Leaving(_) => Poll::Ready(Order::Leave),
            Stage::Air(_) | Stage::Broken(_) | Stage::Over => Poll::Ready(Order::Cut),
        }
    }

    /// Why it must not be answered, if so. To be asked after the last event was taken: of what was taken after this came
    /// to be, some was withheld.
    pub(crate) fn cut_off(&self) -> Option<Order> {
        self.look_at_clock();
        match self.member.stage() {
            Stage::Revoked => Some(Order::Revoke),
            _ if self.is_run_expired() => Some(Order::Revoke),
            Stage::Open | Stage::Leaving(_) => None,
            Stage::Air(_) | Stage::Broken(_) | Stage::Over => Some(Order::Cut),
        }
    }

    #[cold]
    fn look_at_clock(&self) {
        // The right of one poll is not that of the others of its run.
        if self.turn.is_none() && self.has_expired() {
            self.member.revoke();
        }
    }

    fn is_run_expired(&self) -> bool {
        self.turn.is_some() && self.has_expired()
    }

    fn has_expired(&self) -> bool {
        self.right.is_some_and(|right| right <= self.member.shared.runtime.wheel.now())
    }

    /// Has this task woken when the session is no longer merely open.
    #[cold]
    pub(crate) fn listen(&mut self, waker: &Waker) {
        match &self.turn {
            Some(turn) => turn.bell.register(waker),
            None => self.member.listen(waker),
        }
        self.waker = Some(waker.clone());
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        match &self.turn {
            Some(turn) => self.member.end_turn(&turn.bell),
            None => self.member.leave(self.why),
        }
    }
}
