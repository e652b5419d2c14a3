use std::fmt;
use std::sync::Arc;

use atomic_waker::AtomicWaker;

use super::term::Term;
use super::watch::Watch;
use crate::contract::Head;
use crate::endpoint::body::BodyError;
use crate::endpoint::server::connection::ConnectionHandle;
use crate::endpoint::session::SessionEnd;
use crate::endpoint::session::SessionState;
use crate::endpoint::stream::flow::Flow;
use crate::endpoint::time::wheel::Alarm;

/// What a session's task, its driver and whoever ends it agree on, under one lock. What every delivery touches is first.
#[repr(C)]
pub(super) struct Cell {
    /// What a live body is made of, while the body is not polled though it yielded bytes or is new. A body that the
    /// client does not read can't end itself, so it lies where the driver can take it away.
    pub(super) unread: Option<Flow>,
    pub(super) errand: Errand,
    pub(super) stage: Stage,
    pub(super) standing: Standing,
    pub(super) body: BodyState,
    /// Whether the body has the connection to itself.
    pub(super) is_alone: bool,
    /// How it is counted, while it is in the registry.
    pub(super) state: Option<SessionState>,
    /// Why it ends, from when that is known on.
    pub(super) why: Option<SessionEnd>,
    pub(super) watch: Watch,
    pub(super) alarm: Alarm,
    pub(super) term: Option<Box<Term>>,
    /// Of a run: a bell for each of its polls that is under way.
    pub(super) turns: Option<Vec<Arc<AtomicWaker>>>,
    pub(super) head: Option<Arc<dyn Head>>,
    /// Of a body, under [`serve`](crate::server::serve).
    pub(super) connection: Option<ConnectionHandle>,
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    /// It is to end in an orderly way: a body may yield so many more pieces.
    Leaving(u8),
    /// A body's last bytes are on their way.
    Air(BodyError),
    Broken(BodyError),
    /// The client's right is gone, and it is to be told so.
    Revoked,
    Over,
}

/// Whether the HTTP stack holds the body, and why it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyState {
    Live,
    /// It is counted among the bodies that are still held though their write timed out.
    Stalled,
    Dropped,
}

/// How the registry and the publisher know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Outside,
    /// In the registry; `joined` has not come back.
    Joining,
    Inside,
    /// It left before `joined` came back, after which `left` is called.
    Parting,
    Gone,
}

/// What the alarm is set for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    None,
    Watch,
    Leave,
    Break,
    /// What should have ended by itself is cut off.
    Cut,
    /// A run's client is silent.
    Silence,
}

impl Cell {
    #[inline(always)]
    pub(super) fn new(alarm: Alarm, run: Option<Arc<AtomicWaker>>) -> Self {
        Self {
            stage: Stage::Open,
            standing: Standing::Outside,
            body: BodyState::Live,
            is_alone: false,
            connection: None,
            state: None,
            why: None,
            unread: None,
            watch: Watch::default(),
            alarm,
            errand: Errand::None,
            term: None,
            turns: run.map(|bell| vec![bell]),
            head: None,
        }
    }

    /// Whether nobody polls it, or will: a run between two polls.
    pub(super) fn is_idle_run(&self) -> bool {
        self.turns.as_ref().is_some_and(Vec::is_empty)
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cell").field("stage", &self.stage).field("standing", &self.standing).finish_non_exhaustive()
    }
}
