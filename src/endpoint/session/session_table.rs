use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::session_index::SessionIndex;
use crate::contract::Transport;
use crate::endpoint::mutex::Mutex;
use crate::endpoint::session::{Label, Session, SessionEnd, SessionId};
use crate::endpoint::session::{SessionEntry, SessionState};

/// Every live session of an endpoint.
#[derive(Debug)]
pub(crate) struct SessionTable {
    roll: Mutex<SessionIndex>,
    ids: AtomicU64,
    limits: Limits,
    transports: [AtomicUsize; Transport::ALL.len()],
    states: [AtomicUsize; SessionState::ALL.len()],
    joined: AtomicU64,
    /// In milliseconds.
    spread: AtomicU64,
    left: [AtomicU64; SessionEnd::ALL.len()],
}

/// How many sessions there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) sessions: usize,
    pub(crate) per_key: usize,
    /// Runs of polls that are between two polls.
    pub(crate) idle: usize,
}

/// Why a session does not get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// There are too many sessions, or a drain.
    Full,
    /// There is a run of that name.
    Taken,
}

/// How many sessions there are, and were.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) transports: [usize; Transport::ALL.len()],
    pub(crate) states: [usize; SessionState::ALL.len()],
    pub(crate) joined: u64,
    pub(crate) left: [u64; SessionEnd::ALL.len()],
}

impl SessionTable {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            roll: Mutex::new(SessionIndex::default()),
            ids: AtomicU64::new(1),
            limits,
            transports: Default::default(),
            states: Default::default(),
            joined: AtomicU64::new(0),
            spread: AtomicU64::new(0),
            left: Default::default(),
        }
    }

    /// A number that no session had.
    pub(crate) fn next_id(&self) -> SessionId {
        SessionId::new(self.ids.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether a client may come, as it is now: one that stays is a session, or the next poll of a run.
    pub(crate) fn has_place(&self, key: Option<&Arc<str>>, stays: bool, name: Option<&Label>) -> bool {
        let roll = self.roll.lock();
        let is_known = || name.is_some_and(|name| roll.run(name).is_some());
        let key = key.map(|key| &**key);
        let is_room = || {
            (roll.len() < self.limits.sessions || !roll.idle.is_empty())
                && (roll.len_of(key) < self.limits.per_key || key.is_some_and(|key| roll.idle.has(key)))
        };
        !roll.draining && (!stays || is_room() || is_known())
    }

    /// Adds a session. Where there is no place, idle runs of polls give way: those of its key where the key has too many
    /// sessions, else any.
    pub(crate) fn enter(&self, member: &Arc<SessionEntry>) -> Result<(), NoPlace> {
        loop {
            match self.try_enter(member) {
                Err(NoPlace::Full) => self.take_idle(&member.session).ok_or(NoPlace::Full)?.give_way(),
                done => return done,
            }
        }
    }

    fn take_idle(&self, who: &Session) -> Option<Arc<SessionEntry>> {
        let mut roll = self.roll.lock();
        match who.shared_key().filter(|key| roll.len_of(Some(key)) >= self.limits.per_key) {
            _ if roll.draining => None,
            Some(key) => roll.idle.take_oldest_of(&key),
            None => roll.idle.take_oldest(),
        }
    }

    /// Notes that a run of polls is between two polls. Returns the run that is to [give way](SessionEntry::give_way) for it.
    pub(crate) fn begin_idle(&self, run: &Arc<SessionEntry>) -> Option<Arc<SessionEntry>> {
        self.roll.lock().idle.add(run, self.limits.idle)
    }

    /// Notes that a run of polls is polled again.
    pub(crate) fn end_idle(&self, run: &SessionEntry) {
        let idle = self.roll.lock().idle.remove(&run.session);
        drop(idle);
    }

    fn try_enter(&self, member: &Arc<SessionEntry>) -> Result<(), NoPlace> {
        let (who, is_run) = (&member.session, member.is_poll_session());
        let mut roll = self.roll.lock();
        if roll.draining || !self.is_room(&roll, who.key()) {
            return Err(NoPlace::Full);
        }
        if is_run && who.label().is_some_and(|label| roll.run(&label).is_some()) {
            return Err(NoPlace::Taken);
        }
        roll.add(member.clone());
        self.of(who).fetch_add(1, Ordering::Relaxed);
        self.in_state(SessionState::Open).fetch_add(1, Ordering::Relaxed);
        self.joined.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Takes a session out, which [is parted with](Self::parted) next.
    pub(crate) fn leave(&self, member: &SessionEntry, state: Option<SessionState>, why: SessionEnd) {
        let mut roll = self.roll.lock();
        let left = roll.remove(&member.session);
        roll.parting += 1;
        if left.is_some() {
            self.of(&member.session).fetch_sub(1, Ordering::Relaxed);
            state.map(|state| self.in_state(state).fetch_sub(1, Ordering::Relaxed));
            if let Some(count) = self.left.get(why as usize) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        drop(roll);
        drop(left);
    }

    /// A session that left was seen off.
    pub(crate) fn parted(&self) {
        let mut roll = self.roll.lock();
        roll.parting -= 1;
        let waiting = if roll.is_empty() { std::mem::take(&mut roll.waiting) } else { Vec::new() };
        drop(roll);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Removes the name of a run that is over, so that it takes no further poll.
    pub(crate) fn forget(&self, run: &SessionEntry) {
        self.roll.lock().forget(&run.session);
    }

    /// Counts a session in another state.
    pub(crate) fn shift(&self, from: SessionState, to: SessionState) {
        self.in_state(from).fetch_sub(1, Ordering::Relaxed);
        self.in_state(to).fetch_add(1, Ordering::Relaxed);
    }

    /// Lets nobody in any more. The sessions that there are, the first time.
    pub(crate) fn close(&self) -> Vec<Arc<SessionEntry>> {
        let mut roll = self.roll.lock();
        match std::mem::replace(&mut roll.draining, true) {
            true => Vec::new(),
            false => roll.members(),
        }
    }

    /// Returns whether a drain has begun.
    pub(crate) fn is_draining(&self) -> bool {
        self.roll.lock().draining
    }

    /// Over how long a drain lets its sessions go.
    pub(crate) fn spread(&self, over: Duration) {
        self.spread.fetch_max(u64::try_from(over.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns the time over which clients that are told to come later are spread: that of the sessions of a drain, if
    /// there is one.
    pub(crate) fn is_spread(&self) -> Duration {
        Duration::from_millis(self.spread.load(Ordering::Relaxed))
    }

    pub(crate) fn members(&self) -> Vec<Arc<SessionEntry>> {
        self.roll.lock().members()
    }

    pub(crate) fn members_after(&self, after: Option<SessionId>, limit: usize) -> Vec<Arc<SessionEntry>> {
        self.roll.lock().members_after(after, limit)
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<Arc<SessionEntry>> {
        self.roll.lock().get(id)
    }

    pub(crate) fn run(&self, label: &Label) -> Option<Arc<SessionEntry>> {
        self.roll.lock().run(label)
    }

    pub(crate) fn newest(&self, label: &Label) -> Option<Session> {
        self.roll.lock().newest(label)
    }

    pub(crate) fn len(&self) -> usize {
        self.roll.lock().len()
    }

    /// Ready when there is no session.
    pub(crate) fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut roll = self.roll.lock();
        if roll.is_empty() {
            return Poll::Ready(());
        }
        let known = roll.waiting.iter().any(|waiting| waiting.will_wake(&waker));
        let spare = if known {
            Some(waker)
        } else {
            roll.waiting.push(waker);
            None
        };
        drop(roll);
        drop(spare);
        Poll::Pending
    }

    pub(crate) fn counts(&self) -> Counts {
        let read = |counts: &[AtomicUsize], at: usize| counts.get(at).map_or(0, |count| count.load(Ordering::Relaxed));
        // Under the lock: they add up.
        let _roll = self.roll.lock();
        Counts {
            transports: std::array::from_fn(|at| read(&self.transports, at)),
            states: std::array::from_fn(|at| read(&self.states, at)),
            joined: self.joined.load(Ordering::Relaxed),
            left: std::array::from_fn(|at| self.left.get(at).map_or(0, |count| count.load(Ordering::Relaxed))),
        }
    }

    fn is_room(&self, roll: &SessionIndex, key: Option<&str>) -> bool {
        roll.len() < self.limits.sessions && roll.len_of(key) < self.limits.per_key
    }

    fn of(&self, who: &Session) -> &AtomicUsize {
        &self.transports[who.transport() as usize]
    }

    fn in_state(&self, state: SessionState) -> &AtomicUsize {
        &self.states[state as usize]
    }
}
