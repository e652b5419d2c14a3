use super::change::Changes;
use super::entry::{CHANGES, LockedEntry, REGISTERS, RENEWS, SessionEntry};
use super::lifecycle::Phase;
use super::polls::Polls;
use super::renewal::Renewal;

/// State that few sessions have.
pub(super) enum RareState {
    /// The polls of a poll session that are under way.
    Polls(Polls),
    /// Boxed so that poll sessions need no memory for it.
    Live(Box<Live>),
}

/// State of a stream or a WebSocket that is renewed, or whose topics change.
#[derive(Default)]
pub(super) struct Live {
    pub(super) renewal: Option<Renewal>,
    pub(super) changes: Changes,
}

/// Values of the application, to be dropped under no lock. Boxed because there are mostly none.
pub(super) type Unused = Box<(Option<Renewal>, Option<Box<RareState>>)>;

impl LockedEntry {
    /// Returns the polls of a poll session.
    pub(super) fn polls(&mut self) -> Option<&mut Polls> {
        match self.rare.as_deref_mut()? {
            RareState::Polls(polls) => Some(polls),
            RareState::Live(_) => None,
        }
    }

    pub(super) fn live(&mut self) -> Option<&mut Live> {
        match self.rare.as_deref_mut()? {
            RareState::Live(live) => Some(live),
            RareState::Polls(_) => None,
        }
    }

    /// Returns the state of an open session. Creates it, unless this is a poll session.
    pub(super) fn open_live(&mut self) -> Option<&mut Live> {
        if self.lifecycle.phase() != Phase::Open {
            return None;
        }
        self.rare.get_or_insert_with(|| Box::new(RareState::Live(Box::default())));
        self.live()
    }
}

impl SessionEntry {
    /// Adds a renewal that `begins`, and takes what the lifecycle has no use for. The caller has the lock.
    #[inline]
    pub(super) fn update_live(&self, locked: &mut LockedEntry, begins: bool) -> Option<Unused> {
        if begins {
            let renewal = self.renewal();
            if let Some(live) = locked.open_live() {
                live.renewal = Some(renewal);
            }
            self.set_signal(RENEWS | REGISTERS, true);
        }
        if locked.live().is_none() { None } else { self.take_unused(locked) }
    }

    #[cold]
    fn take_unused(&self, locked: &mut LockedEntry) -> Option<Unused> {
        if locked.lifecycle.phase() != Phase::Open {
            self.set_signal(RENEWS | CHANGES, false);
            return Some(Box::new((None, locked.rare.take())));
        }
        let is_unused = !locked.lifecycle.is_renewing();
        let renewal = locked.live().filter(|_| is_unused).and_then(|live| live.renewal.take());
        renewal.is_some().then(|| {
            self.set_signal(RENEWS, false);
            Box::new((renewal, None))
        })
    }
}
