use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use super::idle_poll_sessions::IdlePollSessions;
use super::session_slots::SessionSlots;
use crate::endpoint::session::{Label, Session, SessionEntry, SessionId};

/// Sessions by id, limit key and name. The session table has it under its lock.
#[derive(Default)]
pub(crate) struct SessionIndex {
    entries: SessionSlots,
    /// Number of sessions of each limit key that has any.
    keys: HashMap<Arc<str>, usize>,
    names: HashMap<Label, Named>,
    pub(crate) idle: IdlePollSessions,
    pub(crate) is_closed: bool,
    /// Number of removed sessions whose `left` has not returned.
    pub(crate) leaving: usize,
    /// Tasks that wait until the last session is gone.
    pub(crate) waiting: Vec<Waker>,
}

/// The sessions of one name under one key.
#[derive(Default)]
struct Named {
    all: BTreeSet<SessionId>,
    /// The poll session among them.
    poll_session: Option<SessionId>,
}

impl SessionIndex {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn len_of(&self, key: Option<&str>) -> usize {
        key.and_then(|key| self.keys.get(key)).copied().unwrap_or(0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.len() == 0 && self.leaving == 0
    }

    pub(crate) fn entries(&self) -> Vec<Arc<SessionEntry>> {
        self.entries.after(None).cloned().collect()
    }

    /// Returns the first `limit` sessions whose id is greater than `after`.
    pub(crate) fn entries_after(&self, after: Option<SessionId>, limit: usize) -> Vec<Arc<SessionEntry>> {
        self.entries.after(after).take(limit).cloned().collect()
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<Arc<SessionEntry>> {
        self.entries.get(id).cloned()
    }

    /// Returns the poll session of this name, unless it was [forgotten](Self::forget).
    pub(crate) fn poll_session(&self, label: &Label) -> Option<Arc<SessionEntry>> {
        self.get(self.names.get(label)?.poll_session?)
    }

    /// Returns the newest session of this name.
    pub(crate) fn newest(&self, label: &Label) -> Option<Session> {
        let id = *self.names.get(label)?.all.last()?;
        self.entries.get(id).map(|entry| entry.session.clone())
    }

    pub(crate) fn add(&mut self, entry: Arc<SessionEntry>) {
        let session = &entry.session;
        if let Some(key) = session.shared_key() {
            *self.keys.entry(key).or_default() += 1;
        }
        if let Some(label) = session.label() {
            let named = self.names.entry(label).or_default();
            named.all.insert(session.id());
            if entry.is_poll_session() {
                named.poll_session = Some(session.id());
            }
        }
        self.entries.insert(entry);
    }

    /// Removes a session, if it is here.
    pub(crate) fn remove(&mut self, session: &Session) -> Option<Arc<SessionEntry>> {
        let entry = self.entries.remove(session.id())?;
        if entry.is_poll_session() {
            drop(self.idle.remove(session));
        }
        if let Some(key) = session.key() {
            let count = self.keys.get_mut(key);
            let last = count.map(|count| {
                *count -= 1;
                *count == 0
            });
            if last == Some(true) {
                self.keys.remove(key);
            }
        }
        if let Some(label) = session.label() {
            if let Some(named) = self.names.get_mut(&label) {
                named.all.remove(&session.id());
                named.forget(session.id());
                if named.all.is_empty() {
                    self.names.remove(&label);
                }
            }
        }
        Some(entry)
    }

    /// Removes the name of a poll session, so that the next poll begins another.
    pub(crate) fn forget(&mut self, session: &Session) {
        if let Some(named) = session.label().and_then(|label| self.names.get_mut(&label)) {
            named.forget(session.id());
        }
    }
}

impl Named {
    fn forget(&mut self, id: SessionId) {
        self.poll_session = self.poll_session.filter(|&other| other != id);
    }
}

impl fmt::Debug for SessionIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionIndex")
            .field("sessions", &self.len())
            .field("is_closed", &self.is_closed)
            .finish_non_exhaustive()
    }
}
