use std::collections::{BTreeMap, BTreeSet};
use std::mem::replace;
use std::sync::Arc;

use crate::contract::Entry;
use crate::hub::budget::budget::Budget;
use crate::hub::budget::footprint;
use crate::hub::holds::{STRETCH, count_steps};
use crate::hub::log::segment::nanos;
use crate::hub::log::state_chain::StateChain;
use crate::model::{Pattern, StateLimits};

/// Newest event of each key of a topic, removals included. Trees, since a hash table moves all of its keys when it grows,
/// under the log's lock.
///
/// A removal of a key without an event changes nothing here. That of a removed key replaces its removal, if that is not
/// forgotten.
#[derive(Debug)]
pub(crate) struct KeyedState {
    /// Sequence of the newest event of each key.
    by_key: BTreeMap<Box<str>, u64>,
    /// These events, by their sequences.
    pub(crate) newest: BTreeMap<u64, Entry>,
    /// Sequences of the removals among them.
    removals: BTreeSet<u64>,
    /// Sum of the weights of the other events.
    weight: usize,
    /// Sequence of the newest removal that was forgotten. It has left history, as has every removal before it.
    pub(crate) forgotten: u64,
    /// Number of changes.
    pub(crate) changes: u64,
    /// Segments for subscriptions that begin.
    pub(crate) chain: Option<Arc<StateChain>>,
    /// Bytes that count in the budget.
    charged: u64,
    budget: Arc<Budget>,
}

impl KeyedState {
    /// Returns the empty state of a topic. Removals up to `forgotten` may have been forgotten.
    pub(crate) fn new(topic: &Pattern, forgotten: u64, budget: &Arc<Budget>) -> Self {
        let charged = footprint::topic_with_state(topic) as u64;
        budget.states.add(charged);
        budget.topics_with_state.add(1);
        Self {
            by_key: BTreeMap::new(),
            newest: BTreeMap::new(),
            removals: BTreeSet::new(),
            weight: 0,
            forgotten,
            changes: 0,
            chain: None,
            charged,
            budget: Arc::clone(budget),
        }
    }

    /// Returns the number of keys, not counting removed ones.
    pub(crate) fn keys(&self) -> usize {
        self.by_key.len() - self.removals.len()
    }

    /// Returns the sum of the weights of their events.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// Returns whether the state has neither keys nor removals.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Returns the newest event of a key that is not removed.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.newest.get(self.by_key.get(key)?).filter(|entry| !entry.event.is_removal())
    }

    /// Returns the sequence of the first event after a sequence, or of an earlier one, not counting removals up to `needed`.
    pub(crate) fn first_after(&self, sequence: u64, needed: u64) -> Option<u64> {
        let is_wanted = |entry: &Entry| !entry.event.is_removal() || entry.sequence > needed;
        let mut looks = 0;
        let later = self.newest.range(sequence + 1..);
        // After many looks the sequence of a removal is close enough: nothing that is wanted precedes it.
        let found = later.into_iter().find(|(_, entry)| {
            count_steps(1);
            looks += 1;
            is_wanted(entry) || looks == STRETCH
        });
        // The chain may have an earlier event of a key.
        let in_chain = self.chain.as_ref().and_then(|chain| chain.after(sequence));
        let in_chain = in_chain.map(|(segment, place)| segment.sequence(place));
        found.map(|(&first, _)| first).into_iter().chain(in_chain).min()
    }

    /// Returns the sequence of the newest removal that may have been published.
    pub(crate) fn last_removal(&self) -> u64 {
        self.removals.last().map_or(self.forgotten, |&last| last.max(self.forgotten))
    }

    /// Puts the newest event of its key. Returns the event that it replaces, which the caller drops without a lock.
    pub(crate) fn put(&mut self, entry: &Entry) -> Option<Entry> {
        let (key, is_removal) = (entry.event.key()?, entry.event.is_removal());
        let replaced = match self.by_key.get_mut(key) {
            Some(newest) => Some(replace(newest, entry.sequence)),
            None if is_removal => return None,
            None => {
                self.by_key.insert(key.into(), entry.sequence);
                None
            }
        };
        let replaced = replaced.and_then(|replaced| self.take(replaced));
        let bytes = footprint::state(&entry.event) as u64;
        self.charged += bytes;
        self.budget.states.add(bytes);
        if is_removal {
            self.removals.insert(entry.sequence);
        } else {
            self.weight += entry.event.weight();
        }
        self.newest.insert(entry.sequence, entry.clone());
        self.changes += 1;
        replaced
    }

    /// Forgets the removals beyond the limits, of those up to `evicted`, which have left history. `left` is 0 afterwards if
    /// there may be more to do.
    pub(crate) fn trim(&mut self, limits: StateLimits, evicted: u64, now: u64, left: &mut usize) {
        let age = nanos(limits.removal_age);
        while let Some(&oldest) = self.removals.first().filter(|&&oldest| oldest <= evicted) {
            let at = self.newest.get(&oldest).map_or(0, |entry| entry.at);
            let is_kept = self.removals.len() <= limits.removals && now < at.saturating_add(age);
            if is_kept || *left == 0 {
                return;
            }
            *left -= 1;
            count_steps(1);
            if let Some(key) = self.take(oldest).as_ref().and_then(|entry| entry.event.key()) {
                self.by_key.remove(key);
            }
            self.forgotten = oldest;
        }
    }

    /// Takes out an event that is no longer the newest of its key.
    fn take(&mut self, sequence: u64) -> Option<Entry> {
        let entry = self.newest.remove(&sequence)?;
        let bytes = footprint::state(&entry.event) as u64;
        self.charged -= bytes;
        self.budget.states.sub(bytes);
        if !self.removals.remove(&sequence) {
            self.weight -= entry.event.weight();
        }
        Some(entry)
    }
}

impl Drop for KeyedState {
    fn drop(&mut self) {
        self.budget.states.sub(self.charged);
        self.budget.topics_with_state.sub(1);
    }
}
