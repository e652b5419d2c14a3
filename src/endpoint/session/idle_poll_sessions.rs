use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::endpoint::session::{Session, SessionEntry, SessionId};

/// Poll sessions between two polls, in the order in which they became idle.
///
/// A client can leave any number of them behind on one connection. So they have a limit of their own, and each gives way
/// to a session that would find no place.
#[derive(Default)]
pub(crate) struct IdlePollSessions {
    /// Place of the next one.
    next: u64,
    entries: BTreeMap<u64, Arc<SessionEntry>>,
    places: HashMap<SessionId, u64>,
    by_key: BTreeSet<(Arc<str>, u64)>,
    counts: HashMap<Arc<str>, usize>,
}

/// Share of one key: a key with more than a sixteenth of the idle poll sessions loses its own oldest.
const KEY_SHARE: usize = 16;

impl IdlePollSessions {
    /// Adds a poll session that became idle. If there are more than `max`, returns the one that gives way: the longest idle
    /// one of the same key if that key has more than its share, else the longest idle one of all.
    pub(crate) fn add(&mut self, entry: &Arc<SessionEntry>, max: usize) -> Option<Arc<SessionEntry>> {
        let key = entry.session.shared_key()?;
        let place = self.next;
        self.next += 1;
        self.places.insert(entry.session.id(), place);
        self.entries.insert(place, entry.clone());
        self.by_key.insert((key.clone(), place));
        let count = self.counts.entry(key.clone()).or_default();
        *count += 1;
        let has_too_many = *count > max / KEY_SHARE;
        match self.entries.len() > max {
            true if has_too_many => self.take_oldest_of(&key),
            true => self.take_oldest(),
            false => None,
        }
    }

    /// Removes a poll session that is polled again or has left, if it is here.
    pub(crate) fn remove(&mut self, session: &Session) -> Option<Arc<SessionEntry>> {
        let place = self.places.remove(&session.id())?;
        let entry = self.entries.remove(&place)?;
        let key = session.shared_key()?;
        if let Some(count) = self.counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&key);
            }
        }
        self.by_key.remove(&(key, place));
        Some(entry)
    }

    /// Removes and returns the one that has been idle for the longest time.
    pub(crate) fn take_oldest(&mut self) -> Option<Arc<SessionEntry>> {
        let oldest = self.entries.first_key_value()?.1.session.clone();
        self.remove(&oldest)
    }

    /// Removes and returns the one of this key that has been idle for the longest time.
    pub(crate) fn take_oldest_of(&mut self, key: &Arc<str>) -> Option<Arc<SessionEntry>> {
        let (of, place) = self.by_key.range((key.clone(), 0)..).next()?;
        let oldest = self.entries.get(place).filter(|_| of == key)?.session.clone();
        self.remove(&oldest)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns whether there is one of this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.counts.contains_key(key)
    }
}
