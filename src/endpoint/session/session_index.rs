use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use super::idle_polls::IdlePollSessions;
use super::session_slots::SessionSlots;
use crate::endpoint::session::SessionEntry;
use crate::endpoint::session::{Label, Session, SessionId};

/// Sessions in the registry, with their keys and names.
#[derive(Default)]
pub(crate) struct SessionIndex {
    members: SessionSlots,
    /// How many sessions a limit key has. None where it has none.
    keys: HashMap<Arc<str>, usize>,
    names: HashMap<Label, Named>,
    pub(crate) idle: IdlePollSessions,
    pub(crate) draining: bool,
    /// How many are no longer here, but not yet seen off.
    pub(crate) parting: usize,
    /// Tasks that wait until the last session is gone.
    pub(crate) waiting: Vec<Waker>,
}

/// The sessions of one name under one key.
#[derive(Default)]
struct Named {
    all: BTreeSet<SessionId>,
    /// The run of polls among them.
    run: Option<SessionId>,
}

impl SessionIndex {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn len_of(&self, key: Option<&str>) -> usize {
        key.and_then(|key| self.keys.get(key)).copied().unwrap_or(0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.len() == 0 && self.parting == 0
    }

    pub(crate) fn members(&self) -> Vec<Arc<SessionEntry>> {
        self.members.after(None).cloned().collect()
    }

    /// Returns the first `limit` sessions whose id is greater than `after`.
    pub(crate) fn members_after(&self, after: Option<SessionId>, limit: usize) -> Vec<Arc<SessionEntry>> {
        self.members.after(after).take(limit).cloned().collect()
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<Arc<SessionEntry>> {
        self.members.get(id).cloned()
    }

    /// The run of this name, if there is one that was not [forgotten](Self::forget).
    pub(crate) fn run(&self, label: &Label) -> Option<Arc<SessionEntry>> {
        self.get(self.names.get(label)?.run?)
    }

    /// The newest session of this name.
    pub(crate) fn newest(&self, label: &Label) -> Option<Session> {
        let id = *self.names.get(label)?.all.last()?;
        self.members.get(id).map(|member| member.session.clone())
    }

    pub(crate) fn add(&mut self, member: Arc<SessionEntry>) {
        let who = &member.session;
        if let Some(key) = who.shared_key() {
            *self.keys.entry(key).or_default() += 1;
        }
        if let Some(label) = who.label() {
            let named = self.names.entry(label).or_default();
            named.all.insert(who.id());
            if member.is_poll_session() {
                named.run = Some(who.id());
            }
        }
        self.members.insert(member);
    }

    /// Takes one out, if it is there.
    pub(crate) fn remove(&mut self, who: &Session) -> Option<Arc<SessionEntry>> {
        let member = self.members.remove(who.id())?;
        if member.is_poll_session() {
            drop(self.idle.remove(who));
        }
        if let Some(key) = who.key() {
            let count = self.keys.get_mut(key);
            let last = count.map(|count| {
                *count -= 1;
                *count == 0
            });
            if last == Some(true) {
                self.keys.remove(key);
            }
        }
        if let Some(label) = who.label() {
            if let Some(named) = self.names.get_mut(&label) {
                named.all.remove(&who.id());
                named.forget(who.id());
                if named.all.is_empty() {
                    self.names.remove(&label);
                }
            }
        }
        Some(member)
    }

    /// Removes the name of a run, so that the next poll begins another.
    pub(crate) fn forget(&mut self, who: &Session) {
        if let Some(named) = who.label().and_then(|label| self.names.get_mut(&label)) {
            named.forget(who.id());
        }
    }
}

impl Named {
    fn forget(&mut self, run: SessionId) {
        self.run = self.run.filter(|&other| other != run);
    }
}

impl fmt::Debug for SessionIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionIndex")
            .field("members", &self.len())
            .field("draining", &self.draining)
            .finish_non_exhaustive()
    }
}
