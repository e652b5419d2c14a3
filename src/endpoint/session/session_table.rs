use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::session_index::SessionIndex;
use crate::contract::Transport;
use crate::endpoint::mutex::Mutex;
use crate::endpoint::session::{Label, Session, SessionEnd, SessionEntry, SessionId, SessionState};

/// Live sessions of an endpoint, with their limits and counts.
#[derive(Debug)]
pub(crate) struct SessionTable {
    index: Mutex<SessionIndex>,
    ids: AtomicU64,
    limits: Limits,
    transports: [AtomicUsize; Transport::ALL.len()],
    states: [AtomicUsize; SessionState::ALL.len()],
    joined: AtomicU64,
    /// Time over which a drain ends its sessions, in milliseconds.
    spread: AtomicU64,
    left: [AtomicU64; SessionEnd::ALL.len()],
}

/// Limits of the number of sessions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) sessions: usize,
    pub(crate) per_key: usize,
    /// Poll sessions that are between two polls.
    pub(crate) idle: usize,
}

/// Reason why a session cannot enter the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// There are too many sessions, or the endpoint drains.
    Full,
    /// There is a poll session of that name.
    Taken,
}

/// Numbers of live and of all sessions.
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
            index: Mutex::new(SessionIndex::default()),
            ids: AtomicU64::new(1),
            limits,
            transports: Default::default(),
            states: Default::default(),
            joined: AtomicU64::new(0),
            spread: AtomicU64::new(0),
            left: Default::default(),
        }
    }

    /// Returns an id that no session had.
    pub(crate) fn next_id(&self) -> SessionId {
        SessionId::new(self.ids.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns whether there is a place for a client at this moment. A client that stays is a session, or the next poll of
    /// a poll session.
    pub(crate) fn has_place(&self, key: Option<&Arc<str>>, stays: bool, name: Option<&Label>) -> bool {
        let index = self.index.lock();
        let is_known = || name.is_some_and(|name| index.poll_session(name).is_some());
        let key = key.map(|key| &**key);
        let is_room = || {
            (index.len() < self.limits.sessions || !index.idle.is_empty())
                && (index.len_of(key) < self.limits.per_key || key.is_some_and(|key| index.idle.has(key)))
        };
        !index.is_closed && (!stays || is_room() || is_known())
    }

    /// Adds a session. If there is no place, idle poll sessions give way: those of the session's key if the key has too
    /// many sessions, else any.
    pub(crate) fn enter(&self, entry: &Arc<SessionEntry>) -> Result<(), NoPlace> {
        loop {
            match self.try_enter(entry) {
                Err(NoPlace::Full) => self.take_idle(&entry.session).ok_or(NoPlace::Full)?.give_way(),
                done => return done,
            }
        }
    }

    fn take_idle(&self, session: &Session) -> Option<Arc<SessionEntry>> {
        let mut index = self.index.lock();
        match session.shared_key().filter(|key| index.len_of(Some(key)) >= self.limits.per_key) {
            _ if index.is_closed => None,
            Some(key) => index.idle.take_oldest_of(&key),
            None => index.idle.take_oldest(),
        }
    }

    /// Notes that a poll session is between two polls. Returns the poll session that is to
    /// [give way](SessionEntry::give_way) for it.
    pub(crate) fn begin_idle(&self, poll_session: &Arc<SessionEntry>) -> Option<Arc<SessionEntry>> {
        self.index.lock().idle.add(poll_session, self.limits.idle)
    }

    /// Notes that a poll session is polled again.
    pub(crate) fn end_idle(&self, poll_session: &SessionEntry) {
        let idle = self.index.lock().idle.remove(&poll_session.session);
        drop(idle);
    }

    fn try_enter(&self, entry: &Arc<SessionEntry>) -> Result<(), NoPlace> {
        let (session, is_poll_session) = (&entry.session, entry.is_poll_session());
        let mut index = self.index.lock();
        if index.is_closed || !self.is_room(&index, session.key()) {
            return Err(NoPlace::Full);
        }
        if is_poll_session && session.label().is_some_and(|label| index.poll_session(&label).is_some()) {
            return Err(NoPlace::Taken);
        }
        index.add(entry.clone());
        self.of(session).fetch_add(1, Ordering::Relaxed);
        self.in_state(SessionState::Open).fetch_add(1, Ordering::Relaxed);
        self.joined.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Removes a session. The caller calls `left`, and [`note_left`](Self::note_left) after that.
    pub(crate) fn remove(&self, entry: &SessionEntry, state: Option<SessionState>, why: SessionEnd) {
        let mut index = self.index.lock();
        let left = index.remove(&entry.session);
        index.leaving += 1;
        if left.is_some() {
            self.of(&entry.session).fetch_sub(1, Ordering::Relaxed);
            state.map(|state| self.in_state(state).fetch_sub(1, Ordering::Relaxed));
            if let Some(count) = self.left.get(why as usize) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        drop(index);
        drop(left);
    }

    /// Notes that `left` has returned for a session that was removed.
    pub(crate) fn note_left(&self) {
        let mut index = self.index.lock();
        index.leaving -= 1;
        let waiting = if index.is_empty() { std::mem::take(&mut index.waiting) } else { Vec::new() };
        drop(index);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Removes the name of a poll session that has ended, so that it takes no further poll.
    pub(crate) fn forget(&self, poll_session: &SessionEntry) {
        self.index.lock().forget(&poll_session.session);
    }

    /// Counts a session in another state.
    pub(crate) fn shift(&self, from: SessionState, to: SessionState) {
        self.in_state(from).fetch_sub(1, Ordering::Relaxed);
        self.in_state(to).fetch_add(1, Ordering::Relaxed);
    }

    /// Closes the table for new sessions. Returns all sessions at the first call, and none after it.
    pub(crate) fn close(&self) -> Vec<Arc<SessionEntry>> {
        let mut index = self.index.lock();
        match std::mem::replace(&mut index.is_closed, true) {
            true => Vec::new(),
            false => index.entries(),
        }
    }

    /// Returns whether a drain has closed the table.
    pub(crate) fn is_closed(&self) -> bool {
        self.index.lock().is_closed
    }

    /// Notes the time over which a drain ends its sessions.
    pub(crate) fn spread(&self, over: Duration) {
        self.spread.fetch_max(u64::try_from(over.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns the time over which the retries of refused clients are spread: the duration of a drain, if there is one.
    pub(crate) fn spread_of_drain(&self) -> Duration {
        Duration::from_millis(self.spread.load(Ordering::Relaxed))
    }

    pub(crate) fn entries(&self) -> Vec<Arc<SessionEntry>> {
        self.index.lock().entries()
    }

    pub(crate) fn entries_after(&self, after: Option<SessionId>, limit: usize) -> Vec<Arc<SessionEntry>> {
        self.index.lock().entries_after(after, limit)
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<Arc<SessionEntry>> {
        self.index.lock().get(id)
    }

    pub(crate) fn poll_session(&self, label: &Label) -> Option<Arc<SessionEntry>> {
        self.index.lock().poll_session(label)
    }

    pub(crate) fn newest(&self, label: &Label) -> Option<Session> {
        self.index.lock().newest(label)
    }

    pub(crate) fn len(&self) -> usize {
        self.index.lock().len()
    }

    /// Ready when there is no session and every `left` has returned.
    pub(crate) fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut index = self.index.lock();
        if index.is_empty() {
            return Poll::Ready(());
        }
        let known = index.waiting.iter().any(|waiting| waiting.will_wake(&waker));
        let spare = if known {
            Some(waker)
        } else {
            index.waiting.push(waker);
            None
        };
        drop(index);
        drop(spare);
        Poll::Pending
    }

    pub(crate) fn counts(&self) -> Counts {
        let read = |counts: &[AtomicUsize], at: usize| counts.get(at).map_or(0, |count| count.load(Ordering::Relaxed));
        // Under the lock: they add up.
        let _index = self.index.lock();
        Counts {
            transports: std::array::from_fn(|at| read(&self.transports, at)),
            states: std::array::from_fn(|at| read(&self.states, at)),
            joined: self.joined.load(Ordering::Relaxed),
            left: std::array::from_fn(|at| self.left.get(at).map_or(0, |count| count.load(Ordering::Relaxed))),
        }
    }

    fn is_room(&self, index: &SessionIndex, key: Option<&str>) -> bool {
        index.len() < self.limits.sessions && index.len_of(key) < self.limits.per_key
    }

    fn of(&self, session: &Session) -> &AtomicUsize {
        &self.transports[session.transport() as usize]
    }

    fn in_state(&self, state: SessionState) -> &AtomicUsize {
        &self.states[state as usize]
    }
}
