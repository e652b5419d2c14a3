use std::collections::{BTreeMap, BTreeSet};
use std::iter::once;
use std::sync::Arc;

use crate::contract::PublishError;
use crate::hub::budget::budget::{Charge, Reserved};
use crate::hub::budget::footprint;
use crate::hub::budget::logs_by_size::LogsBySize;
use crate::hub::growth::Growth;
use crate::hub::log::eviction::Eviction;
use crate::hub::log::log::{Follower, Log};
use crate::hub::log::segment::Segment;
use crate::hub::log::segment_sizing::SegmentSizing;
use crate::hub::shared::Shared;
use crate::hub::wake::waiters::wake_all;
use crate::model::Event;

/// Part of the budget. A topic that holds more, and that no other exceeds by a size class, makes room for its own
/// events.
const LARGE_SHARE: usize = 16;
/// Bytes of a segment with the largest number of places.
const LARGEST_SEGMENT: usize = Segment::footprint(SegmentSizing::MOST_PLACES);
const _: () =
    assert!(LARGEST_SEGMENT > footprint::FIRST_EVENT + Segment::footprint(1), "a topic's first event takes less");
/// Number of logs that an eviction looks at to find one that holds as much as it was filed with.
const LOOKS: usize = 1_024;

/// Eviction within the byte budget and the limit of topics.
///
/// Caches of sealed segments are emptied first. Then segments that retention does not promise are evicted: live
/// buffers, and segments without history. Then history is evicted, one segment at a time, each under its own lock:
///
/// 1. A topic that holds more than a sixteenth of the budget loses its own oldest segment to its own events, if no
///    topic is of a higher size class (a class is a doubling of the bytes). One huge topic therefore does not evict
///    many small ones.
/// 2. Otherwise, if topics with one segment and no subscription hold more than an eighth of all bytes, one of these is
///    evicted: the least recently used of the class that holds the most of these bytes. A flood that is spread over
///    many size classes therefore does not evict topics in use.
/// 3. Otherwise a log of the size class with the most bytes is evicted, so that a flood of tiny topics counts as a
///    whole. Bytes of a topic without a subscription count twice, and four times if the topic has begun one segment
///    only.
/// 4. In that class, topics without a subscription are evicted first, then the logs of patterns, then the rest. Of
///    equals, it is the one that had an event, or lost its last subscription, least recently. A topic without a
///    subscription stays in its class until it is empty, so that its eviction is complete before that of the next one
///    begins. The others are evicted a segment each, in rotation.
///
/// The need of a batch is the number of bytes that it adds to each log at once, see [`Growth`]: not more than the log's
/// retention keeps, in segments as they are begun.
///
/// Called before the sequencer is taken, and never with a lock held: evicted events may be the user's to drop.
impl Shared {
    /// Makes room for events that are about to be published. Other threads may publish meanwhile: the hub may exceed
    /// its limit by the bytes that they add.
    #[inline]
    pub(crate) fn make_room<'a>(
        &self,
        events: impl Iterator<Item = (&'a Arc<Log>, &'a Event)> + Clone,
    ) -> Result<Option<Reserved<'_>>, PublishError> {
        let most = |(log, event): (&Arc<Log>, &Event)| {
            let state = if log.is_keyed() { footprint::MOST_OF_STATE + footprint::state(event) } else { 0 };
            footprint::most(event, LARGEST_SEGMENT).saturating_mul(1 + log.pattern_logs()).saturating_add(state)
        };
        let (most, topics) =
            events.clone().fold((0_usize, 0), |(sum, topics), event| (sum.saturating_add(most(event)), topics + 1));
        if self.budget.has_room(most) && self.pool.has_room_for_topics(topics) {
            return Ok(None);
        }
        let made = self.evict_topics_for(&events).and_then(|()| self.evict_for(events.clone()));
        if made.is_err() {
            // Topics that were created for the refused events.
            events.for_each(|(log, _)| self.registry.release(log));
        }
        made.map(Some)
    }

    /// Evicts topics until the topics of these events may hold events.
    #[cold]
    fn evict_topics_for<'a>(
        &self,
        events: &(impl Iterator<Item = (&'a Arc<Log>, &'a Event)> + Clone),
    ) -> Result<(), PublishError> {
        loop {
            let new = events.clone().filter(|(log, _)| log.state().history().segments.is_empty());
            let topics = new.map(|(log, _)| log.slot).collect::<BTreeSet<_>>().len();
            if topics == 0 || self.pool.has_room_for_topics(topics) {
                return Ok(());
            }
            let refuse = || PublishError::TooManyTopics { topics, limit: self.pool.max_topics };
            if topics > self.pool.max_topics {
                return Err(refuse());
            }
            // In one loop, since each look at the events costs in proportion to their number.
            for _ in 0..self.pool.missing_topics(topics) {
                if !self.evict(LogsBySize::oldest_topic, true) {
                    return Err(refuse());
                }
            }
        }
    }

    #[cold]
    fn evict_for<'a>(
        &self,
        events: impl Iterator<Item = (&'a Arc<Log>, &'a Event)> + Clone,
    ) -> Result<Reserved<'_>, PublishError> {
        let logs: BTreeMap<_, _> = events.clone().map(|(log, _)| (log.slot, log)).collect();
        logs.values().for_each(|log| log.forget_pattern_logs());
        let mut reserved = self.budget.reserve();
        // A batch that is too large for an empty hub evicts nothing.
        let mut possible = Growth::of(events.clone(), |_| SegmentSizing::NONE).bytes() <= self.budget.limit;
        // Eviction of a log's newest segment also removes the room in it, which changes the need.
        let need = || Growth::of(events.clone(), |log| log.state().sizing()).bytes();
        while possible {
            let need_now = need();
            reserved.set(need_now);
            if self.budget.has_room(0) {
                return Ok(reserved);
            }
            let large = logs.values().find(|log| self.is_largest(log));
            let mut evicts = true;
            while evicts && !self.budget.has_room(0) {
                evicts = self.budget.caches.drop_cold()
                    || self.evict_surplus()
                    || large.is_some_and(|log| self.is_largest(log) && self.evict_from(log))
                    || self.evict(LogsBySize::largest, false);
            }
            // Reservations of other publishers do not refuse this publish if nothing is left to evict.
            let need_now = need() as u64;
            if !evicts && self.budget.fits_now(need_now) {
                return Ok(reserved);
            }
            // Other threads evict and publish meanwhile: there may be something to evict again.
            possible = evicts || self.pool.by_size.largest().is_some();
        }
        let weight = events.fold(0_usize, |sum, (_, event)| sum.saturating_add(event.weight()));
        Err(PublishError::Full { weight, limit: self.budget.limit })
    }

    /// Returns whether a topic is to make room for its own events.
    fn is_largest(&self, log: &Log) -> bool {
        let held = log.state().history().held;
        held > (self.budget.limit / LARGE_SHARE) as u64 && self.pool.by_size.is_of_highest_class(held)
    }

    /// Evicts the oldest segment, or with `all` every segment, of the next log to evict. Returns `false` if nothing is
    /// left to evict.
    fn evict(&self, next: impl Fn(&LogsBySize<Log>) -> Option<Arc<Log>>, all: bool) -> bool {
        for _ in 0..LOOKS {
            let Some(log) = next(&self.pool.by_size) else {
                return false;
            };
            if self.evict_from(&log) {
                while all && self.evict_from(&log) {}
                return true;
            }
        }
        true
    }

    /// Evicts a segment of which retention promises nothing. Returns `false` if there is none, or if none was found.
    fn evict_surplus(&self) -> bool {
        // Each log is looked at once: one that still has a surplus is offered again.
        let mut logs = std::iter::from_fn(|| self.pool.by_size.take_offered()).take(self.pool.by_size.offers());
        // Before a log is taken out: the clock is the user's.
        let now = self.now();
        logs.any(|log| self.finish_eviction(&log, log.evict_surplus(now)))
    }

    /// Evicts segments that retention does not promise while the hub exceeds its budget: live buffers may have grown
    /// beyond it.
    #[cold]
    pub(crate) fn evict_excess(&self) {
        while self.budget.is_over_limit() && self.evict_surplus() {}
    }

    /// Evicts the oldest segment of a log. Returns `false` if it had none, or was filed with more than it holds.
    fn evict_from(&self, log: &Arc<Log>) -> bool {
        self.finish_eviction(log, log.evict_oldest(self.now()))
    }

    /// Does the work that an eviction leaves. Returns `false` if there was no eviction.
    fn finish_eviction(&self, log: &Arc<Log>, eviction: Option<Eviction<'_>>) -> bool {
        let Some(Eviction { evicted, mut wakers, followers, marking, idle }) = eviction else {
            return false;
        };
        wakers.extend(followers.iter().flatten().map(Follower::mark));
        drop(marking);
        drop(followers);
        wake_all(once(&mut wakers));
        if idle {
            self.registry.release(log);
        }
        // Dropped last: the events are the user's, and their drop may panic.
        drop(evicted);
        true
    }

    /// Makes room for a cache and charges its bytes. Returns `None` if the cache is not to be kept.
    pub(crate) fn charge_cache(&self, bytes: usize) -> Option<Charge> {
        while !self.budget.may_cache(bytes) {
            if !self.budget.caches.drop_any() {
                return None;
            }
        }
        while !self.budget.has_room(bytes) {
            if !self.budget.caches.drop_cold() && !self.evict_surplus() && !self.evict(LogsBySize::largest, false) {
                return None;
            }
        }
        Some(self.budget.cache(bytes))
    }
}
