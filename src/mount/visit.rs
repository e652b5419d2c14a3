use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::registry::NoPlace;
use super::session::{Session, Stage};
use super::shared::Mount;
use crate::contract::Transport;

/// A session in the hands of its own task. The session ends when this is dropped.
pub(super) struct Visit {
    session: Arc<Session>,
    /// The task that the session wakes, kept here too so that no lock is taken to see that it is still this one.
    waker: Option<Waker>,
}

/// What a drain wants of a session that is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// End in an orderly way.
    Leave,
    /// End now.
    Cut,
}

impl Visit {
    pub(super) fn new(mount: &Arc<Mount>, transport: Transport) -> Self {
        Self { session: Session::new(mount, transport), waker: None }
    }

    /// Takes a place in the registry.
    pub(super) fn register(self) -> Result<Self, NoPlace> {
        self.session.mount.registry.enter(&self.session)?;
        Ok(self)
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Whether the session is no longer merely open. The task of `cx` is woken when that, or more, comes to be.
    #[inline]
    pub(super) fn poll_news(&mut self, cx: &Context<'_>) -> bool {
        match &self.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => self.listen(cx.waker()),
        }
        self.session.has_news()
    }

    /// For a session that is no body: what a drain wants of it.
    #[inline]
    pub(super) fn poll_order(&mut self, cx: &Context<'_>) -> Poll<Order> {
        if !self.poll_news(cx) {
            return Poll::Pending;
        }
        match self.session.stage() {
            Stage::Open => Poll::Pending,
            Stage::Leaving(_) => Poll::Ready(Order::Leave),
            Stage::Air(_) | Stage::Broken(_) | Stage::Over => Poll::Ready(Order::Cut),
        }
    }

    #[cold]
    fn listen(&mut self, waker: &Waker) {
        self.session.listen(waker.clone());
        self.waker = Some(waker.clone());
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.session.leave();
    }
}
