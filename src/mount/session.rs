use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::task::{Wake, Waker};
use std::time::Instant;

use super::body::BodyError;
use super::flow::Flow;
use super::isolate::isolate;
use super::live::LAST_PIECES;
use super::locked::Locked;
use super::shared::Mount;
use super::watch::{Seen, Watch};
use super::wheel::Alarm;
use crate::contract::Transport;

/// One client's visit: a live body, a held poll or a WebSocket.
///
/// The driver calls [`wake`](Wake::wake) when the session's alarm is due.
pub(super) struct Session {
    pub(super) mount: Arc<Mount>,
    pub(super) transport: Transport,
    /// The stage is no longer [`Stage::Open`]. Written after it, and read without the lock.
    news: AtomicBool,
    cell: Locked<Cell>,
}

struct Cell {
    stage: Stage,
    /// What a live body is made of, while the body is not polled though it yielded bytes or is new. A body that the
    /// client does not read can't end itself, so it lies where the driver can take it away.
    unread: Option<Box<dyn Flow>>,
    watch: Watch,
    /// Whoever polls the session, to be told of a change of stage.
    waker: Option<Waker>,
    alarm: Alarm,
    errand: Errand,
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Open,
    /// Its turn in a drain has come: a body may yield so many more pieces.
    Leaving(u8),
    /// A body's last bytes are on their way.
    Air(BodyError),
    Broken(BodyError),
    Over,
}

/// What the alarm is set for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Errand {
    None,
    Watch,
    Leave,
    Break,
}

impl Session {
    pub(super) fn new(mount: &Arc<Mount>, transport: Transport) -> Arc<Self> {
        let cell = Cell {
            stage: Stage::Open,
            unread: None,
            watch: Watch::default(),
            waker: None,
            alarm: mount.runtime.wheel.alarm(),
            errand: Errand::None,
        };
        Arc::new(Self { mount: mount.clone(), transport, news: AtomicBool::new(false), cell: Locked::new(cell) })
    }

    /// Whether there is more to know than that it is open. Whoever [listens](Self::listen) is woken when there is.
    #[inline]
    pub(super) fn has_news(&self) -> bool {
        self.news.load(Ordering::Acquire)
    }

    pub(super) fn stage(&self) -> Stage {
        self.cell.lock().stage
    }

    /// Goes on to a stage, unless the session was cut off. Only the session's own task may call this.
    pub(super) fn go_on(&self, stage: Stage) {
        let mut cell = self.cell.lock();
        if !matches!(cell.stage, Stage::Broken(_)) || stage == Stage::Over {
            cell.stage = stage;
        }
        self.news.store(true, Ordering::Release);
    }

    /// Goes on to break off at `at`, unless it was cut off before.
    pub(super) fn break_at(self: &Arc<Self>, at: Instant, error: BodyError) {
        self.go_on(Stage::Air(error));
        let mut cell = self.cell.lock();
        let driver = self.set(&mut cell, Errand::Break, at);
        drop(cell);
        driver.into_iter().for_each(Waker::wake);
    }

    /// Wakes this task from now on, instead of another.
    pub(super) fn listen(&self, waker: Waker) {
        let other = self.cell.lock().waker.replace(waker);
        drop(other);
    }

    /// Leaves what the body is made of to the driver's watch, after it yielded so many bytes.
    #[inline]
    pub(super) fn leave_unread(self: &Arc<Self>, flow: Box<dyn Flow>, bytes: usize) {
        let mut cell = self.cell.lock();
        cell.watch.yielded(bytes);
        if let Stage::Broken(_) | Stage::Over = cell.stage {
            drop(cell);
            return drop_isolated(flow);
        }
        cell.unread = Some(flow);
        if cell.errand == Errand::None {
            let driver = self.watch(&mut cell);
            drop(cell);
            driver.into_iter().for_each(Waker::wake);
        }
    }

    /// Takes it back, to be polled; `None` where the driver has taken it away.
    #[inline]
    pub(super) fn take_unread(&self) -> Option<Box<dyn Flow>> {
        self.cell.lock().unread.take()
    }

    /// Its turn in a drain comes at `at`.
    pub(super) fn leave_at(self: &Arc<Self>, at: Instant) {
        let mut cell = self.cell.lock();
        let driver = if cell.stage == Stage::Open { self.set(&mut cell, Errand::Leave, at) } else { None };
        drop(cell);
        driver.into_iter().for_each(Waker::wake);
    }

    /// Ends it at once, whatever it does.
    pub(super) fn cut(&self, error: BodyError) {
        let waker = {
            let mut cell = self.cell.lock();
            cell.stage = Stage::Broken(error);
            self.news.store(true, Ordering::Release);
            cell.waker.clone()
        };
        waker.into_iter().for_each(Waker::wake);
        self.leave();
    }

    /// The client has gone, or was seen off. Any number of times.
    pub(super) fn leave(&self) {
        let (flow, fresh) = {
            let mut cell = self.cell.lock();
            cell.alarm.cancel();
            (cell.unread.take(), cell.watch.count())
        };
        drop_isolated(flow);
        self.mount.counters.sent(fresh);
        self.mount.registry.leave(self);
    }

    fn watch(self: &Arc<Self>, cell: &mut Cell) -> Option<Waker> {
        let at = self.mount.runtime.wheel.after(self.mount.config.write_stall / Watch::LOOKS);
        self.set(cell, Errand::Watch, at)
    }

    /// Sets the alarm. Who is returned is to be woken, under no lock.
    fn set(self: &Arc<Self>, cell: &mut Cell, errand: Errand, at: Instant) -> Option<Waker> {
        cell.errand = errand;
        cell.alarm.set(at, self.clone().into())
    }

    /// Whether the client took something since the last look. Under the lock in which the errand was taken: a drain
    /// that set the next one in between would lose it.
    fn look(self: &Arc<Self>, mut cell: MutexGuard<'_, Cell>) {
        let unread = cell.unread.is_some();
        let (seen, fresh) = (cell.watch.look(unread), cell.watch.count());
        let driver = if seen == Seen::Owing { self.watch(&mut cell) } else { None };
        drop(cell);
        driver.into_iter().for_each(Waker::wake);
        self.mount.counters.sent(fresh);
        if seen == Seen::Stalled {
            self.mount.counters.stalled();
            self.cut(BodyError::Stalled);
        }
    }
}

impl Wake for Session {
    /// The session's alarm.
    fn wake(self: Arc<Self>) {
        let mut cell = self.cell.lock();
        if !cell.alarm.is_due() {
            return;
        }
        cell.alarm.cancel();
        match (std::mem::replace(&mut cell.errand, Errand::None), cell.stage) {
            (Errand::Watch, Stage::Open) => {
                return self.look(cell);
            }
            (Errand::Leave, Stage::Open) => cell.stage = Stage::Leaving(LAST_PIECES),
            (Errand::Break, Stage::Air(error)) => cell.stage = Stage::Broken(error),
            _ => return,
        }
        self.news.store(true, Ordering::Release);
        let waker = cell.waker.clone();
        drop(cell);
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Drops application code. What a panic of it leaves behind is lost with the session.
pub(super) fn drop_isolated<T>(value: T) {
    let _ = isolate(|| drop(value));
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("transport", &self.transport).finish_non_exhaustive()
    }
}
