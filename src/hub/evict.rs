use std::collections::{BTreeMap, BTreeSet};
use std::iter::once;
use std::sync::Arc;

use crate::contract::PublishError;
use crate::hub::budget::budget::{Charge, Reserved};
use crate::hub::budget::footprint;
use crate::hub::budget::logs_by_size::LogsBySize;
use crate::hub::growth::Growth;
use crate::hub::log::encode_cache::CacheRoom;
use crate::hub::log::eviction::Eviction;
use crate::hub::log::log::{Follower, Log};
use crate::hub::log::segment::Segment;
use crate::hub::log::segment_sizing::SegmentSizing;
use crate::hub::shared::Shared;
use crate::hub::wake::waiters::wake_all;
use crate::model::Event;

/// A topic that holds more than this part of the budget, and that no other exceeds by a size class, makes room for its own
/// events.
const LARGE_SHARE: usize = 16;
/// Bytes of a segment with as many places as one can have.
const LARGEST_SEGMENT: usize = Segment::footprint(SegmentSizing::MOST_PLACES);
const _: () =
    assert!(LARGEST_SEGMENT > footprint::FIRST_EVENT + Segment::footprint(1), "a topic's first event takes less");
/// Number of logs that an eviction looks at for one that holds as much as it is filed with.
const LOOKS: usize = 1_024;

/// Eviction within the byte budget and the limit of topics.
///
/// CacheQueue of sealed segments go first, then what retention does not promise: live buffers, and segments with nothing of
/// history. Then one segment after another goes, each under a lock of its own:
///
/// 1. A topic that holds more than a sixteenth of the budget loses its own oldest segment to its own events, if no topic
///    is of a higher size class (a class is a doubling of the bytes). So one huge topic does not evict many small ones.
/// 2. Otherwise, if topics with one segment and no subscription hold more than an eighth of all bytes, the least recently
///    used of them is evicted, of the class that holds the most of these bytes. So a flood that is spread over many size
///    classes does not evict topics in use.
/// 3. Otherwise the size class with the most bytes gives way: a flood of tiny topics counts as a whole, however small each
///    is. Bytes of a topic without a subscription count twice, and four times if the topic has begun one segment only.
/// 4. In that class, topics without a subscription go first, then the logs of patterns, then the rest. Of equals the one
///    that had an event, or lost its last subscription, least recently. A topic without a subscription then goes on giving
///    way, and stays in its class meanwhile, else the next one would begin to before it is gone; of others each does in
///    turn.
///
/// The need of a batch is what it adds to each log at once, see [`Growth`]: not more than the log's retention keeps, and
/// segments as they are begun.
///
/// Called before the sequencer is taken, and never with a lock held: what goes may be the user's to drop.
impl Shared {
    /// Makes room for events that are about to be published. Others may be published meanwhile: what the hub holds may
    /// be over its limit by what they add.
    #[inline]
    pub(crate) fn make_room<'a>(
        &self,
        events: impl Iterator<Item = (&'a Arc<Log>, &'a Event)> + Clone,
    ) -> Result<Option<Reserved<'_>>, PublishError> {
        let most = |(log, event): (&Arc<Log>, &Event)| {
            footprint::most(event, LARGEST_SEGMENT).saturating_mul(1 + log.pattern_logs())
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

    /// Makes room among the topics that hold events for those of these events.
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
            // At once, since each look at the events costs by their number.
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
        // What is too much for an empty hub evicts nothing.
        let mut possible = Growth::of(events.clone(), |_| SegmentSizing::NONE).bytes() <= self.budget.limit;
        // With a log's newest segment goes the room in it: then the need is another.
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
            if !evicts && self.budget.has_room_but_for_others(need_now) {
                return Ok(reserved);
            }
            // Others evict and publish meanwhile: there may be something again.
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

    /// Evicts the oldest segment, or `all`, of the log that is next to give way. False: nothing is left to evict.
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

    /// Evicts a segment of which retention promises nothing. False: none is left, or none was found.
    fn evict_surplus(&self) -> bool {
        // Each is looked at once: one that still has a surplus is put into the queue again.
        let mut logs = std::iter::from_fn(|| self.pool.by_size.take_offered()).take(self.pool.by_size.offers());
        // Before a log is taken out: the clock is the user's.
        let now = self.now();
        logs.any(|log| self.relieve(&log, log.evict_surplus(now)))
    }

    /// Evicts what retention does not promise while the hub is over its budget: live buffers may have grown beyond it.
    #[cold]
    pub(crate) fn evict_excess(&self) {
        while !self.budget.has_room_but_for_others(0) && self.evict_surplus() {}
    }

    /// Evicts the oldest segment of a log. False: it had none, or was filed with more than it holds.
    fn evict_from(&self, log: &Arc<Log>) -> bool {
        self.relieve(log, log.evict_oldest(self.now()))
    }

    /// Does what an eviction leaves to be done. False: there was none.
    fn relieve(&self, log: &Arc<Log>, relief: Option<Eviction<'_>>) -> bool {
        let Some(Eviction { evicted, mut wakers, followers, marking, idle }) = relief else {
            return false;
        };
        wakers.extend(followers.iter().flatten().map(Follower::mark));
        drop(marking);
        drop(followers);
        wake_all(once(&mut wakers));
        if idle {
            self.registry.release(log);
        }
        // Last, for its events are the user's, and their drop may panic.
        drop(evicted);
        true
    }
}

impl CacheRoom for Shared {
    fn charge(&self, bytes: usize) -> Option<Charge> {
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
