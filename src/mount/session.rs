use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use super::body::BodyError;
use super::flow::Flow;
use super::isolate::isolate;
use super::locked::Locked;
use super::mount::Mount;
use super::pull::LAST_PIECES;
use super::registry::NoPlace;
use super::watch::{Seen, Watch};
use super::wheel::Alarm;
use crate::contract::Transport;

/// One client's visit: a live body, a held poll or a WebSocket.
///
/// A body that the client does not read is not polled by the HTTP stack, so it can't end itself. What it is made of is
/// therefore kept here, where the driver reaches it too: the driver calls [`wake`](Wake::wake) when the session's alarm
/// is due.
pub(super) struct Session {
    pub(super) mount: Arc<Mount>,
    pub(super) transport: Transport,
    pub(super) cell: Locked<Cell>,
}

pub(super) struct Cell {
    pub(super) stage: Stage,
    /// What a live body is made of. Out while it is polled, so that application code runs under no lock.
    pub(super) flow: Option<Box<dyn Flow>>,
    /// Whoever polls the session, to be told of a change of stage.
    waker: Option<Waker>,
    alarm: Alarm,
    pub(super) errand: Errand,
    pub(super) watch: Watch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Open,
    /// Its turn in a drain has come: it may yield so many more pieces.
    Leaving(u8),
    /// The last bytes are on their way.
    Air(BodyError),
    Broken(BodyError),
    Over,
}

/// What the alarm is set for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    None,
    Watch,
    Leave,
    Break,
}

/// What a drain wants of a session that is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// End in an orderly way.
    Leave,
    /// End now.
    Cut,
}

/// A session's hold on its place: the session ends when this is dropped.
pub(super) struct Visit(Arc<Session>);

impl Visit {
    /// A session that is no body's: a held poll, a WebSocket.
    pub(super) fn new(mount: &Arc<Mount>, transport: Transport) -> Self {
        Self(Arc::new(Session::with(mount, transport, None)))
    }

    /// The session of a live body, which is watched from now on: it is to be polled soon.
    pub(super) fn of_flow(mount: &Arc<Mount>, transport: Transport, flow: Box<dyn Flow>) -> Self {
        let session = Arc::new(Session::with(mount, transport, Some(flow)));
        let driver = session.watch(&mut session.cell.lock());
        driver.into_iter().for_each(Waker::wake);
        Self(session)
    }

    /// Takes a place in the registry.
    pub(super) fn register(self) -> Result<Self, NoPlace> {
        self.0.mount.registry.enter(&self.0)?;
        Ok(self)
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.0
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Session {
    fn with(mount: &Arc<Mount>, transport: Transport, flow: Option<Box<dyn Flow>>) -> Self {
        let cell = Cell {
            stage: Stage::Open,
            flow,
            waker: None,
            alarm: mount.runtime.wheel.alarm(),
            errand: Errand::None,
            watch: Watch::default(),
        };
        Self { mount: mount.clone(), transport, cell: Locked::new(cell) }
    }

    /// For a session that is no body: what a drain wants of it. Pending means that the task of `cx` will be told.
    pub(super) fn poll_order(&self, cx: &mut Context<'_>) -> Poll<Order> {
        let mut cell = self.cell.lock();
        let other = cell.listen(cx);
        let stage = cell.stage;
        drop(cell);
        drop(other);
        match stage {
            Stage::Open => Poll::Pending,
            Stage::Leaving(_) => Poll::Ready(Order::Leave),
            Stage::Air(_) | Stage::Broken(_) | Stage::Over => Poll::Ready(Order::Cut),
        }
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
            cell.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
        self.leave();
    }

    /// The client has gone, or was seen off. Any number of times.
    pub(super) fn leave(&self) {
        let (flow, fresh) = {
            let mut cell = self.cell.lock();
            cell.alarm.cancel();
            (cell.flow.take(), cell.watch.count())
        };
        drop_isolated(flow);
        self.mount.counters.sent(fresh);
        self.mount.registry.leave(self);
    }

    pub(super) fn watch(self: &Arc<Self>, cell: &mut Cell) -> Option<Waker> {
        let at = self.mount.runtime.wheel.after(self.mount.config.write_stall / Watch::LOOKS);
        self.set(cell, Errand::Watch, at)
    }

    /// Sets the alarm. Who is returned is to be woken, under no lock.
    pub(super) fn set(self: &Arc<Self>, cell: &mut Cell, errand: Errand, at: Instant) -> Option<Waker> {
        cell.errand = errand;
        cell.alarm.set(at, self.clone().into())
    }

    /// Whether the client took something since the last look.
    fn look(self: &Arc<Self>) {
        let mut cell = self.cell.lock();
        let (seen, fresh) = (cell.watch.look(), cell.watch.count());
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
                drop(cell);
                return self.look();
            }
            (Errand::Leave, Stage::Open) => cell.stage = Stage::Leaving(LAST_PIECES),
            (Errand::Break, Stage::Air(error)) => cell.stage = Stage::Broken(error),
            _ => return,
        }
        let waker = cell.waker.take();
        drop(cell);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Cell {
    /// Keeps the task's waker; another one's, which is to be dropped under no lock, is returned.
    #[inline]
    pub(super) fn listen(&mut self, cx: &Context<'_>) -> Option<Waker> {
        match &self.waker {
            Some(waker) if waker.will_wake(cx.waker()) => None,
            _ => self.waker.replace(cx.waker().clone()),
        }
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
