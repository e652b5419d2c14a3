//! How a session is ended from outside.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Wake, Waker};
use std::time::Instant;

use super::cell::{Errand, Stage, Standing};
use super::member::{Member, drop_isolated};
use crate::endpoint::body::BodyError;
use crate::endpoint::session::SessionEnd;
use crate::endpoint::stream::live::{AIR, LAST_PIECES};

impl Member {
    /// Its turn in a drain comes at `at`.
    pub(crate) fn leave_at(self: &Arc<Self>, at: Instant) {
        let mut cell = self.cell.lock();
        let driver = if cell.stage == Stage::Open { self.set(&mut cell, Errand::Leave, at) } else { None };
        drop(cell);
        driver.into_iter().for_each(Waker::wake);
    }

    /// Ends it in an orderly way, from now on. Whether it was open.
    pub(crate) fn leave_now(self: &Arc<Self>, why: SessionEnd) -> bool {
        // A body whose client takes nothing never says its goodbye.
        let latest = self.shared.runtime.wheel.after(self.shared.config.write_timeout);
        let mut cell = self.cell.lock();
        if cell.stage != Stage::Open || matches!(cell.standing, Standing::Parting | Standing::Gone) {
            return false;
        }
        cell.why.get_or_insert(why);
        self.enter_stage(&mut cell, Stage::Leaving(LAST_PIECES));
        cell.alarm.cancel();
        cell.errand = Errand::None;
        let driver = if self.is_body() { self.set(&mut cell, Errand::Cut, latest) } else { None };
        let idle = cell.is_idle_run();
        drop(cell);
        driver.into_iter().for_each(Waker::wake);
        match idle {
            true => self.leave(why),
            false => self.ring(),
        }
        true
    }

    /// Ends the client's right: not one more event goes out. Whether it had one.
    pub(crate) fn revoke(self: &Arc<Self>) -> bool {
        let broken = self.shared.runtime.wheel.after(AIR);
        let mut cell = self.cell.lock();
        let ended = cell.stage == Stage::Over || matches!(cell.standing, Standing::Parting | Standing::Gone);
        if self.is_shut() || ended {
            return false;
        }
        cell.why = Some(SessionEnd::Revoked);
        self.shut();
        cell.alarm.cancel();
        let (flow, mut driver) = (cell.unread.take(), None);
        if self.is_body() {
            self.enter_stage(&mut cell, Stage::Air(BodyError::Revoked));
            driver = self.set(&mut cell, Errand::Break, broken);
        } else {
            self.enter_stage(&mut cell, Stage::Revoked);
            cell.errand = Errand::None;
        }
        let idle = cell.is_idle_run();
        drop(cell);
        drop_isolated(flow);
        driver.into_iter().for_each(Waker::wake);
        match idle {
            true => self.leave(SessionEnd::Revoked),
            false => self.ring(),
        }
        true
    }

    /// Ends it at once, whatever it does.
    pub(crate) fn cut(self: &Arc<Self>, why: SessionEnd) {
        let error = if why == SessionEnd::Stalled { BodyError::Stalled } else { BodyError::Ended };
        let mut cell = self.cell.lock();
        // Before its task can see the end, and leave for another reason.
        cell.why.get_or_insert(why);
        if cell.stage != Stage::Over && !matches!(cell.stage, Stage::Broken(_)) {
            self.enter_stage(&mut cell, Stage::Broken(error));
        }
        self.shut();
        drop(cell);
        if why == SessionEnd::Stalled {
            self.stall_body();
        }
        self.leave(why);
        self.ring();
    }
}

impl Wake for Member {
    /// The session's alarm.
    fn wake(self: Arc<Self>) {
        let rest = self.shared.runtime.wheel.after(self.shared.config.write_timeout);
        let mut cell = self.cell.lock();
        if !cell.alarm.is_due() {
            return;
        }
        cell.alarm.cancel();
        // In the lock in which the errand is taken: a drain that set the next one in between would lose it.
        match (std::mem::replace(&mut cell.errand, Errand::None), cell.stage) {
            (Errand::Watch, Stage::Open) => {
                let unread = cell.unread.is_some() && !self.read.load(Ordering::Relaxed);
                let (seen, fresh) = (cell.watch.look(unread), cell.watch.count());
                drop(cell);
                self.looked(seen, fresh);
            }
            (Errand::Leave, Stage::Open) => {
                drop(cell);
                self.leave_now(SessionEnd::Drained);
            }
            (Errand::Silence, Stage::Open) if cell.is_idle_run() => {
                drop(cell);
                self.give_way();
            }
            (Errand::Break, Stage::Air(error)) => {
                self.enter_stage(&mut cell, Stage::Broken(error));
                // The HTTP stack may never ask.
                let driver = self.set(&mut cell, Errand::Cut, rest);
                drop(cell);
                driver.into_iter().for_each(Waker::wake);
                self.ring();
            }
            (Errand::Cut, _) => {
                drop(cell);
                // Its client takes nothing, or the HTTP stack would have asked for the end.
                self.stall_body();
                self.cut(SessionEnd::Gone);
            }
            _ => {}
        }
    }
}
