//! When a session's time is up: its client's right, which ends at once, and the endpoint's patience, which ends in order.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use super::cell::{Cell, Standing};
use super::member::Member;
use crate::endpoint::session::SessionEnd;
use crate::endpoint::time::wheel::Alarm;
use crate::time::Clock;

/// What a session is given at its beginning.
pub(super) struct Term {
    alarm: Alarm,
    right: Option<Instant>,
    time: Option<Instant>,
}

/// The waker of a term's alarm.
struct Expiry(Arc<Member>);

impl Member {
    /// Sets the session's term, where it has one.
    pub(super) fn set_term(self: &Arc<Self>, right: Option<Instant>, time: Option<Instant>) {
        if right.is_none() && time.is_none() {
            return;
        }
        let term = Term { alarm: self.shared.runtime.wheel.alarm(), right, time };
        let mut cell = self.cell.lock();
        if cell.standing != Standing::Inside {
            return;
        }
        cell.term = Some(Box::new(term));
        let driver = self.set_expiry(&mut cell);
        drop(cell);
        driver.into_iter().for_each(Waker::wake);
    }

    fn set_expiry(self: &Arc<Self>, cell: &mut Cell) -> Option<Waker> {
        let term = cell.term.as_mut()?;
        let next = term.right.into_iter().chain(term.time).min()?;
        term.alarm.set(next, Arc::new(Expiry(self.clone())).into())
    }
}

impl Wake for Expiry {
    fn wake(self: Arc<Self>) {
        let Self(member) = &*self;
        let now = member.shared.runtime.wheel.now();
        let is_over = |at: &Instant| *at <= now;
        let mut cell = member.cell.lock();
        let Some(term) = cell.term.as_mut() else { return };
        term.alarm.cancel();
        let right = term.right.take_if(|at| is_over(at)).is_some();
        let time = term.time.take_if(|at| is_over(at)).is_some();
        let driver = if right { None } else { member.set_expiry(&mut cell) };
        drop(cell);
        driver.into_iter().for_each(Waker::wake);
        if right {
            member.revoke();
        } else if time {
            member.leave_now(SessionEnd::Disconnected);
        }
    }
}
