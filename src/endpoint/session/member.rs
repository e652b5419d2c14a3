use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::Waker;
use std::time::Instant;

use atomic_waker::AtomicWaker;

use super::cell::{Cell, Errand, Stage};
use super::track::Track;
use crate::contract::Transport;
use crate::endpoint::isolate::isolate;
use crate::endpoint::locked::Locked;
use crate::endpoint::session::SessionState;
use crate::endpoint::session::{Session, SessionEnd};
use crate::endpoint::shared::Shared;

/// One client's visit, as everybody but its task has it: a live body, a held poll, a run of polls or a WebSocket.
///
/// The driver calls [`wake`](std::task::Wake::wake) when the session's alarm is due.
///
/// In this order, a delivery touches two cache lines of it: from the middle of the track on to the cell's first fields.
#[repr(C)]
pub(crate) struct Member {
    pub(crate) shared: Arc<Shared>,
    pub(crate) who: Session,
    pub(super) since: Instant,
    /// Whoever polls the session, to be told of a change of stage.
    listener: AtomicWaker,
    pub(super) track: Track,
    /// Whether it is a run of polls, which come and go.
    is_run: bool,
    /// Whether what is left unread was asked after since: by a poll that needed nothing of it.
    pub(super) read: AtomicBool,
    /// Written after the stage, and read without the lock.
    news: AtomicU8,
    pub(super) cell: Locked<Cell>,
}

/// The stage is [`Stage::Open`].
const NONE: u8 = 0;
/// It no longer is.
const SOME: u8 = 1;
/// Not one more event may go out.
const SHUT: u8 = 2;

impl Member {
    /// A session that is not registered; a run of polls, if it is one's bell that is given.
    #[inline(always)]
    pub(super) fn new(shared: &Arc<Shared>, who: Session, since: Instant, run: Option<Arc<AtomicWaker>>) -> Self {
        let is_run = run.is_some();
        Self {
            shared: shared.clone(),
            who,
            is_run,
            since,
            track: Track::new(is_run),
            read: AtomicBool::new(false),
            news: AtomicU8::new(NONE),
            listener: AtomicWaker::new(),
            cell: Locked::new(Cell::new(shared.runtime.wheel.alarm(), run)),
        }
    }

    pub(crate) fn transport(&self) -> Transport {
        self.who.transport()
    }

    pub(crate) fn is_run(&self) -> bool {
        self.is_run
    }

    /// Whether it is a body, which the HTTP stack polls when it likes, or never.
    pub(super) fn is_body(&self) -> bool {
        matches!(self.transport(), Transport::Chunked | Transport::Sse)
    }

    /// Whether there is more to know than that it is open. Whoever [listens](Self::listen) is woken when there is.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        self.news.load(Ordering::Acquire) != NONE
    }

    /// Whether not one more event may go out.
    #[inline]
    pub(crate) fn is_shut(&self) -> bool {
        self.news.load(Ordering::Acquire) == SHUT
    }

    pub(crate) fn stage(&self) -> Stage {
        self.cell.lock().stage
    }

    /// Why it ends, if that is known.
    pub(crate) fn why(&self) -> Option<SessionEnd> {
        self.cell.lock().why
    }

    /// Says why it will have ended. The first word counts.
    #[cold]
    pub(crate) fn note(&self, why: SessionEnd) {
        self.cell.lock().why.get_or_insert(why);
    }

    /// Goes on to a stage, unless the session was cut off. Only the session's own task may call this.
    pub(crate) fn go_on(&self, stage: Stage) {
        let mut cell = self.cell.lock();
        if !self.is_shut() || stage == Stage::Over {
            cell.stage = stage;
        }
        self.tell();
    }

    /// Goes on to a stage under the cell's lock. Whoever listens is to be [woken](Self::ring) after it.
    pub(super) fn enter_stage(&self, cell: &mut Cell, stage: Stage) {
        cell.stage = stage;
        self.count_as(cell, SessionState::Leaving);
        self.tell();
    }

    fn tell(&self) {
        self.news.fetch_max(SOME, Ordering::AcqRel);
    }

    /// Lets no more events out.
    pub(super) fn shut(&self) {
        self.news.store(SHUT, Ordering::Release);
    }

    /// Has it counted as in this state.
    pub(super) fn count_as(&self, cell: &mut Cell, to: SessionState) {
        if let Some(state) = &mut cell.state {
            self.shared.registry.shift(std::mem::replace(state, to), to);
        }
    }

    /// Wakes this task at the next change of stage, instead of another.
    pub(super) fn listen(&self, waker: &Waker) {
        self.listener.register(waker);
    }

    /// Wakes whoever listens, under no lock.
    pub(super) fn ring(&self) {
        let turns = self.cell.lock().turns.clone();
        turns.iter().flatten().for_each(|bell| bell.wake());
        self.listener.wake();
    }

    /// Sets the alarm. Who is returned is to be woken, under no lock.
    pub(super) fn set(self: &Arc<Self>, cell: &mut Cell, errand: Errand, at: Instant) -> Option<Waker> {
        cell.errand = errand;
        cell.alarm.set(at, self.clone().into())
    }
}

/// Drops application code. What a panic of it leaves behind is lost with the session.
pub(crate) fn drop_isolated<T>(value: T) {
    let _ = isolate(|| drop(value));
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("who", &self.who).finish_non_exhaustive()
    }
}
