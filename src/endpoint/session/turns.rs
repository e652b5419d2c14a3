//! A run of polls: one session of many requests, some of them at once.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use atomic_waker::AtomicWaker;

use super::cell::{Errand, Stage, Standing};
use super::member::Member;
use crate::endpoint::session::SessionEnd;
use crate::endpoint::session::SessionState;

/// How many polls of a run may be under way: the tabs of one person, and not a place for any number of connections.
const AT_ONCE: usize = 16;

/// Why a run takes no further poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoTurn {
    /// It is over: the poll begins another.
    Over,
    /// There are too many at once.
    Full,
}

impl Member {
    /// Begins a further poll.
    pub(super) fn begin_turn(&self) -> Result<Arc<AtomicWaker>, NoTurn> {
        let bell = Arc::<AtomicWaker>::default();
        let mut cell = self.cell.lock();
        let open = cell.stage == Stage::Open
            && cell.why.is_none()
            && matches!(cell.standing, Standing::Joining | Standing::Inside);
        let Some(turns) = cell.turns.as_mut().filter(|_| open) else {
            return Err(NoTurn::Over);
        };
        if turns.len() >= AT_ONCE {
            return Err(NoTurn::Full);
        }
        turns.push(bell.clone());
        self.shared.registry.end_idle(self);
        if cell.errand == Errand::Silence {
            cell.alarm.cancel();
            cell.errand = Errand::None;
        }
        self.count_as(&mut cell, SessionState::Open);
        Ok(bell)
    }

    /// Ready when the publisher has been told of the run: before that, none of its polls is answered.
    pub(super) fn poll_joined(&self, bell: &AtomicWaker, cx: &Context<'_>) -> Poll<()> {
        bell.register(cx.waker());
        match self.cell.lock().standing {
            Standing::Joining | Standing::Parting => Poll::Pending,
            Standing::Outside | Standing::Inside | Standing::Gone => Poll::Ready(()),
        }
    }

    /// The source gave its last. That of one poll is not the run's.
    pub(crate) fn ended(&self, why: SessionEnd) {
        if !self.is_run() || why == SessionEnd::Panicked {
            self.note(why);
        }
    }

    /// Ends a poll. After the last one the run waits for the next, if it is not to end.
    pub(super) fn end_turn(self: &Arc<Self>, bell: &Arc<AtomicWaker>) {
        let silent = self.shared.runtime.wheel.after(self.shared.config.silence());
        let mut cell = self.cell.lock();
        if let Some(turns) = &mut cell.turns {
            turns.retain(|other| !Arc::ptr_eq(other, bell));
        }
        if !cell.is_idle_run() {
            return;
        }
        if cell.stage != Stage::Open || cell.why.is_some() {
            // Under the lock that a further poll begins under: none joins what is given up.
            if cell.stage == Stage::Open {
                self.enter_stage(&mut cell, Stage::Over);
            }
            drop(cell);
            return self.leave(SessionEnd::Gone);
        }
        if matches!(cell.standing, Standing::Outside | Standing::Parting | Standing::Gone) {
            // It was let in nowhere, or is out: an alarm would keep it for nothing.
            return;
        }
        self.count_as(&mut cell, SessionState::Idle);
        // A drain may have set another.
        let driver = if cell.errand == Errand::None { self.set(&mut cell, Errand::Silence, silent) } else { None };
        // In the lock under which a further poll begins, so that only an idle run is among the idle ones.
        let gives_way = self.shared.registry.begin_idle(self);
        drop(cell);
        driver.into_iter().for_each(Waker::wake);
        gives_way.into_iter().for_each(|run| run.give_way());
    }

    /// Ends the run if it is between two polls, to make room for another session or because its client is silent.
    pub(crate) fn give_way(self: &Arc<Self>) {
        let mut cell = self.cell.lock();
        if cell.is_idle_run() && cell.stage == Stage::Open {
            self.enter_stage(&mut cell, Stage::Over);
            drop(cell);
            self.leave(SessionEnd::Silent);
        }
    }
}
