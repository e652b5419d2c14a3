use std::collections::BTreeMap;
use std::iter::once;
use std::sync::Arc;

use crate::contract::PublishError;
use crate::hub::appended::Relief;
use crate::hub::budget::Charge;
use crate::hub::footprint;
use crate::hub::log::Log;
use crate::hub::shared::Shared;
use crate::hub::tail::Tail;
use crate::hub::waiters::wake_all;
use crate::model::{Event, Pattern};

/// How the budget is kept: caches of sealed segments go first, then the oldest segment of the largest topic.
///
/// Called before the sequencer is taken, and never with a lock held: what goes may be the user's to drop.
impl Shared {
    /// Makes room for events that are about to be published. Others may be published meanwhile: what the hub holds may
    /// be over its limit by what they add.
    #[inline]
    pub(super) fn make_room<'a>(
        &self,
        events: impl Iterator<Item = (&'a Arc<Log>, &'a Event)> + Clone,
    ) -> Result<(), PublishError> {
        let most = |(log, event): (&Arc<Log>, &Event)| footprint::most(event).saturating_mul(1 + log.feeds());
        let most = events.clone().map(most).fold(0, usize::saturating_add);
        if self.budget.has_room(most) {
            return Ok(());
        }
        self.evict_for(events)
    }

    #[cold]
    fn evict_for<'a>(
        &self,
        events: impl Iterator<Item = (&'a Arc<Log>, &'a Event)> + Clone,
    ) -> Result<(), PublishError> {
        events.clone().for_each(|(log, _)| log.forget_feeds());
        // What is too much for an empty hub evicts nothing.
        let mut possible = self.need(events.clone(), |_| Tail::NONE) <= self.budget.limit;
        // With a topic's newest segment goes the room in it: then the need is another.
        let need = || self.need(events.clone(), |log| log.state().kept().tail);
        while possible {
            let need_now = need();
            if self.budget.has_room(need_now) {
                return Ok(());
            }
            let mut evicts = true;
            while evicts && !self.budget.has_room(need_now) {
                evicts = self.budget.caches.drop_cold() || self.evict_largest();
            }
            // Others evict and publish meanwhile: where nothing was left to evict there may be room, or something again.
            possible = evicts || self.budget.has_room(need()) || self.budget.sizes.largest().is_some();
        }
        // A topic that was made for what is refused now.
        events.clone().for_each(|(log, _)| self.registry.release(log));
        let weight = events.fold(0_usize, |sum, (_, event)| sum.saturating_add(event.weight()));
        Err(PublishError::Full { weight, limit: self.budget.limit })
    }

    /// How many bytes these events add, each topic's newest segment being as `tail` says.
    fn need<'a>(&self, events: impl Iterator<Item = (&'a Arc<Log>, &'a Event)>, tail: impl Fn(&Log) -> Tail) -> usize {
        let mut tails: BTreeMap<&Pattern, Tail> = BTreeMap::new();
        let needs = events.map(|(log, event)| {
            let tail = tails.entry(&log.name).or_insert_with(|| tail(log));
            let segment = tail.take(event.weight(), &log.retention).map_or(0, footprint::segment);
            let fed = footprint::most(event).saturating_mul(log.feeds());
            footprint::event(event).saturating_add(segment).saturating_add(fed)
        });
        needs.fold(0, usize::saturating_add)
    }

    /// Makes room for a cache of so many bytes. `None` when it should not be kept.
    pub(super) fn cache(&self, bytes: usize) -> Option<Charge> {
        while !self.budget.may_cache(bytes) {
            if !self.budget.caches.drop_any() {
                return None;
            }
        }
        while !self.budget.has_room(bytes) {
            if !self.budget.caches.drop_cold() && !self.evict_largest() {
                return None;
            }
        }
        Some(self.budget.cache(bytes))
    }

    /// Evicts the oldest segment of the topic that holds the most. False: nothing is left to evict.
    fn evict_largest(&self) -> bool {
        while let Some(name) = self.budget.sizes.largest() {
            // A topic that is not in the registry any more is not among the sizes at the next look.
            if let Some(log) = self.registry.known(&name) {
                if let Some(relief) = log.evict_oldest(self.now()) {
                    self.let_go(&log, relief);
                    return true;
                }
            }
        }
        false
    }

    fn let_go(&self, log: &Arc<Log>, relief: Relief) {
        let Relief { evicted, mut wakers, followers, idle } = relief;
        drop(followers);
        wake_all(once(&mut wakers));
        if idle {
            self.registry.release(log);
        }
        // Last, for its events are the user's, and their drop may panic.
        drop(evicted);
    }
}
