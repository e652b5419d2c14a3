//! A live body that the client may not read: it lies where the driver can take it away, and is watched.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Instant;

use super::cell::{BodyState, Errand, Stage};
use super::member::{Member, drop_isolated};
use super::watch::{Seen, Watch};
use crate::endpoint::body::BodyError;
use crate::endpoint::server::connection::{ConnectionHandle, Hop};
use crate::endpoint::session::SessionEnd;
use crate::endpoint::stream::flow::Flow;

impl Member {
    /// Leaves what the body is made of to the driver's watch, after it yielded so many bytes. Whether they may go out.
    #[inline(always)]
    pub(crate) fn leave_unread(self: &Arc<Self>, flow: Flow, bytes: usize) -> bool {
        let mut cell = self.cell.lock();
        if self.is_shut() {
            drop(cell);
            drop_unread(flow);
            return false;
        }
        cell.watch.yielded(bytes);
        let none = cell.unread.replace(flow);
        let watched = cell.errand != Errand::None;
        self.read.store(false, Ordering::Relaxed);
        // The lock first.
        drop((cell, none));
        if !watched {
            self.watch();
        }
        true
    }

    /// The HTTP stack asks for more than was left unread, though there is none.
    #[inline]
    pub(crate) fn is_read(&self) {
        self.read.store(true, Ordering::Relaxed);
    }

    /// Takes it back, to be polled; `None` where the driver has taken it away.
    #[inline]
    pub(crate) fn take_unread(&self) -> Option<Flow> {
        self.cell.lock().unread.take()
    }

    /// Notes the connection that the body goes out by.
    pub(crate) fn set_hop(&self, hop: Hop) {
        let mut cell = self.cell.lock();
        (cell.is_alone, cell.connection) = (hop.is_alone(), hop.into_handle());
    }

    /// Notes that the write timed out while the HTTP stack holds the body, and may have the connection aborted.
    pub(super) fn stall_body(&self) {
        let mut cell = self.cell.lock();
        if cell.body != BodyState::Live {
            return;
        }
        cell.body = BodyState::Stalled;
        self.shared.counters.hold_stalled();
        // Under the lock that the body's drop takes it back under.
        let is_alone = cell.is_alone;
        let aborts = cell.connection.as_ref().filter(|connection| connection.begin_stall(is_alone)).cloned();
        drop(cell);
        aborts.inspect(ConnectionHandle::abort);
    }

    /// Notes that the HTTP stack dropped the body.
    pub(crate) fn drop_body(&self) {
        let mut cell = self.cell.lock();
        let connection = cell.connection.take();
        if std::mem::replace(&mut cell.body, BodyState::Dropped) == BodyState::Stalled {
            self.shared.counters.drop_stalled();
            connection.iter().for_each(ConnectionHandle::end_stall);
        }
        // The lock first: the last handle drops a waker.
        drop((cell, connection));
    }

    /// Goes on to break off at `at`, unless it was cut off before.
    pub(crate) fn break_at(self: &Arc<Self>, at: Instant, error: BodyError) {
        let mut cell = self.cell.lock();
        if self.is_shut() {
            return;
        }
        self.enter_stage(&mut cell, Stage::Air(error));
        let driver = self.set(&mut cell, Errand::Break, at);
        drop(cell);
        driver.into_iter().for_each(Waker::wake);
    }

    /// Looks after it again in a while, if nothing else is to be done by then.
    #[cold]
    pub(super) fn watch(self: &Arc<Self>) {
        let at = self.shared.runtime.wheel.after(self.shared.config.write_timeout / Watch::LOOKS);
        let mut cell = self.cell.lock();
        let idle = cell.errand == Errand::None && cell.stage == Stage::Open;
        let driver = if idle { self.set(&mut cell, Errand::Watch, at) } else { None };
        drop(cell);
        driver.into_iter().for_each(Waker::wake);
    }

    /// What to do about what a look saw.
    pub(super) fn looked(self: &Arc<Self>, seen: Seen, fresh: u64) {
        self.shared.counters.sent(fresh);
        match seen {
            Seen::Waiting => {}
            Seen::Owing => self.watch(),
            Seen::Stalled => {
                self.shared.counters.stalled();
                self.cut(SessionEnd::Stalled);
            }
        }
    }
}

#[cold]
fn drop_unread(flow: Flow) {
    drop_isolated(flow);
}
