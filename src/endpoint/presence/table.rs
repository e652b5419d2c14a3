#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::key::{NextStep, Outcome, PresentKey};
use crate::endpoint::session::SessionId;
use crate::model::{Event, Topic};

/// Keys of an endpoint's sessions.
///
/// It has an entry for each session with keys, and for each key that has a session, is published, or changed within the
/// last second. Trees, unlike hash tables, give the memory of entries back.
#[derive(Debug)]
pub(super) struct PresenceTable {
    grace: Duration,
    sessions: BTreeMap<SessionId, Box<[Arc<KeyName>]>>,
    keys: BTreeMap<Arc<KeyName>, PresentKey>,
    /// Keys that change at a time.
    due: BTreeSet<(Instant, Arc<KeyName>)>,
    is_stopped: bool,
}

/// Topic and key of a presence.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyName {
    pub(super) topic: Topic,
    pub(super) key: Box<str>,
}

/// Change of a key that the caller publishes under no lock, and then [finishes](PresenceTable::finish).
#[derive(Debug)]
pub(super) struct KeyChange {
    pub(super) name: Arc<KeyName>,
    /// `None`: the removal of the key.
    pub(super) event: Option<Event>,
    /// Time at which the change was decided.
    pub(super) began: Instant,
}

/// Work that follows from an input, for the caller to do under no lock.
#[derive(Debug, Default)]
pub(super) struct PresenceWork {
    pub(super) changes: Vec<KeyChange>,
    /// Events to drop.
    pub(super) dropped: Vec<Event>,
}

impl PresenceTable {
    pub(super) fn new(grace: Duration) -> Self {
        let (sessions, keys, due) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { grace, sessions, keys, due, is_stopped: false }
    }

    /// Adds a session with its keys.
    pub(super) fn begin(
        &mut self,
        session: SessionId,
        present: Vec<(KeyName, Event)>,
        now: Instant,
        work: &mut PresenceWork,
    ) {
        if self.is_stopped || present.is_empty() {
            return work.dropped.extend(present.into_iter().map(|(_, event)| event));
        }
        let names = present.into_iter().map(|(name, event)| {
            let known = self.keys.get_key_value(&name).map(|(known, _)| known.clone());
            let name = known.unwrap_or_else(|| Arc::new(name));
            let key = self.keys.entry(name.clone()).or_insert_with(|| PresentKey::new(event.clone(), now));
            work.dropped.push(key.begin(event));
            name
        });
        let names: Box<[_]> = names.collect();
        names.iter().for_each(|name| self.settle(name, now, work));
        self.sessions.insert(session, names);
    }

    /// Removes a session with its keys.
    pub(super) fn end(&mut self, session: SessionId, now: Instant, work: &mut PresenceWork) {
        let Some(names) = self.sessions.remove(&session) else { return };
        for name in &names {
            if let Some(key) = self.keys.get_mut(name) {
                key.end(now + self.grace);
            }
            self.settle(name, now, work);
        }
    }

    /// Takes the next step of the keys that are due, of at most `limit` of them.
    pub(super) fn run_due(&mut self, now: Instant, limit: usize, work: &mut PresenceWork) {
        for _ in 0..limit {
            let Some((at, name)) = self.due.first() else { return };
            if *at > now {
                return;
            }
            let name = name.clone();
            self.settle(&name, now, work);
        }
    }

    /// Finishes a change that was published, or not.
    pub(super) fn finish(&mut self, change: KeyChange, outcome: Outcome, now: Instant, work: &mut PresenceWork) {
        let KeyChange { name, event, began } = change;
        match self.keys.get_mut(&name) {
            Some(key) => work.dropped.extend(key.finish(event, outcome, began)),
            None => work.dropped.extend(event),
        }
        self.settle(&name, now, work);
    }

    /// Ends presence: later inputs change nothing. Returns the entries, which the caller drops under no lock.
    pub(super) fn stop(&mut self) -> Self {
        std::mem::replace(self, Self { is_stopped: true, ..Self::new(self.grace) })
    }

    /// Returns the events of all keys, for the caller to drop under no lock.
    pub(super) fn into_events(self) -> impl Iterator<Item = Event> {
        self.keys.into_values().flat_map(PresentKey::into_events)
    }

    /// Returns the time of the next change.
    pub(super) fn first_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Returns the names of the keys that the hub has an event of.
    pub(super) fn published(&self) -> impl Iterator<Item = &KeyName> {
        self.keys.iter().filter(|(_, key)| key.is_published()).map(|(name, _)| &**name)
    }

    /// Takes the next step of a key.
    fn settle(&mut self, name: &Arc<KeyName>, now: Instant, work: &mut PresenceWork) {
        let Some(key) = self.keys.get_mut(name) else { return };
        let next = key.next(now);
        let due = if let NextStep::At(at) = next { Some(at) } else { None };
        if due != key.due {
            if let Some(at) = std::mem::replace(&mut key.due, due) {
                self.due.remove(&(at, name.clone()));
            }
            self.due.extend(due.map(|at| (at, name.clone())));
        }
        match next {
            NextStep::Publish(event) => work.changes.push(KeyChange { name: name.clone(), event, began: now }),
            NextStep::Forget => {
                work.dropped.extend(self.keys.remove(name).into_iter().flat_map(PresentKey::into_events))
            }
            NextStep::At(_) | NextStep::Rest => {}
        }
    }
}
