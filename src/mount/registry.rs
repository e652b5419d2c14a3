use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use super::locked::Locked;
use super::session::Session;
use crate::contract::Transport;

/// Every live session of an endpoint.
#[derive(Debug)]
pub(super) struct Registry {
    roll: Locked<Roll>,
    counts: [AtomicUsize; Transport::ALL.len()],
    max: usize,
}

#[derive(Default)]
struct Roll {
    /// By address, which nobody else has while they are here.
    sessions: HashMap<usize, Arc<Session>>,
    draining: bool,
    /// Who waits for the last one to leave.
    waiting: Vec<Waker>,
}

/// There is no place: too many sessions, or a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoPlace;

impl Registry {
    pub(super) fn new(max: usize) -> Self {
        Self { roll: Locked::new(Roll::default()), counts: Default::default(), max }
    }

    /// Whether a client may come, as it is now; one that stays is a session.
    pub(super) fn has_place(&self, stays: bool) -> bool {
        let roll = self.roll.lock();
        !roll.draining && (!stays || roll.sessions.len() < self.max)
    }

    pub(super) fn enter(&self, session: &Arc<Session>) -> Result<(), NoPlace> {
        let mut roll = self.roll.lock();
        if roll.draining || roll.sessions.len() >= self.max {
            return Err(NoPlace);
        }
        roll.sessions.insert(address(session), session.clone());
        self.count(session).fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Takes a session out, if it is there.
    pub(super) fn leave(&self, session: &Session) {
        let (left, waiting) = {
            let mut roll = self.roll.lock();
            let left = roll.sessions.remove(&address(session));
            let waiting = if roll.sessions.is_empty() { std::mem::take(&mut roll.waiting) } else { Vec::new() };
            (left, waiting)
        };
        if let Some(left) = left {
            self.count(&left).fetch_sub(1, Ordering::Relaxed);
        }
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Lets nobody in any more. The sessions that there are, the first time.
    pub(super) fn close(&self) -> Vec<Arc<Session>> {
        let mut roll = self.roll.lock();
        match std::mem::replace(&mut roll.draining, true) {
            true => Vec::new(),
            false => roll.sessions.values().cloned().collect(),
        }
    }

    pub(super) fn sessions(&self) -> Vec<Arc<Session>> {
        self.roll.lock().sessions.values().cloned().collect()
    }

    /// Ready when there is no session.
    pub(super) fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut roll = self.roll.lock();
        if roll.sessions.is_empty() {
            return Poll::Ready(());
        }
        if !roll.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            roll.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    pub(super) fn counts(&self) -> [usize; Transport::ALL.len()] {
        std::array::from_fn(|at| self.counts.get(at).map_or(0, |count| count.load(Ordering::Relaxed)))
    }

    fn count(&self, session: &Session) -> &AtomicUsize {
        &self.counts[session.transport as usize]
    }
}

fn address(session: &Session) -> usize {
    std::ptr::from_ref(session).addr()
}

impl std::fmt::Debug for Roll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roll").field("sessions", &self.sessions.len()).finish_non_exhaustive()
    }
}
