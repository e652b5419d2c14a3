use std::sync::Arc;

use crate::hub::budget::cache_queue::CacheQueue;
use crate::hub::budget::logs_by_size::LogsBySize;
use crate::hub::sync::{Count, Flag};
use crate::hub::wake::late_marks::LateMarks;

/// Part of the limit that caches may take: they may evict history, but not most of it.
const CACHE_SHARE: u64 = 4;
/// Part of the limit that the states of keyed topics may take: the rest is for history.
const STATE_SHARE: u64 = 2;
/// Part of the limit up to which evicted segments in the hands of readers do not count. Evicting more does not free
/// them: a publisher would evict all history in vain, and would then be refused because of a slow reader.
const PIN_SHARE: u64 = 4;

/// Byte budget of a hub: its limit, and the bytes that count against it. The counts are relaxed. Between a check and
/// the action that depends on it other threads may add to them, each the bytes of one publish or of one cache.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) limit: usize,
    /// Number of events that were evicted to stay within the budget.
    pub(crate) evicted: Count,
    /// Bytes of segments in their logs.
    history: Count,
    /// Bytes of evicted segments that a reader still holds.
    pinned: Count,
    /// Bytes of encoded events in caches.
    cached: Count,
    /// Bytes of the states of keyed topics, which are not evicted.
    pub(crate) states: Count,
    /// Number of keyed topics that have had an event.
    pub(crate) topics_with_state: Count,
    /// Bytes that publishers which make room at this moment are about to add.
    reserved: Count,
    pub(crate) caches: CacheQueue,
}

/// Logs of a hub, and the limits that they share.
#[derive(Debug)]
pub(crate) struct LogPool<L> {
    pub(crate) epoch: u64,
    /// Bytes of a log that are kept for connected readers that are behind, history included.
    pub(crate) live_buffer: u64,
    /// Largest number of topics that may hold events.
    pub(crate) max_topics: usize,
    pub(crate) budget: Arc<Budget>,
    pub(crate) by_size: LogsBySize<L>,
    /// Late marks of the hub, for publishers and for evictions.
    pub(crate) late_marks: LateMarks,
}

/// Bytes that count against a budget until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    kind: Kind,
    bytes: Count,
    evicted: Flag,
    pinned: Flag,
}

#[derive(Debug)]
enum Kind {
    Segment,
    Cache,
}

impl<L> LogPool<L> {
    pub(crate) fn new(epoch: u64, limit: usize, live_buffer: usize, max_topics: usize) -> Arc<Self> {
        Arc::new(Self {
            epoch,
            live_buffer: live_buffer as u64,
            max_topics,
            budget: Budget::new(limit),
            by_size: LogsBySize::default(),
            late_marks: LateMarks::default(),
        })
    }

    /// Returns whether this number of further topics may hold events.
    #[inline]
    pub(crate) fn has_room_for_topics(&self, topics: usize) -> bool {
        self.by_size.topics().saturating_add(topics as u64) <= self.max_topics as u64
    }

    /// Returns the number of topics to evict before this number of further ones may hold events.
    pub(crate) fn missing_topics(&self, topics: usize) -> u64 {
        self.by_size.topics().saturating_add(topics as u64).saturating_sub(self.max_topics as u64)
    }
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            evicted: Count::new(0),
            history: Count::new(0),
            pinned: Count::new(0),
            cached: Count::new(0),
            states: Count::new(0),
            topics_with_state: Count::new(0),
            reserved: Count::new(0),
            caches: CacheQueue::default(),
        })
    }

    /// Returns whether there is room for further bytes, in addition to the reserved ones.
    #[inline]
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.fits_now(self.reserved.load().saturating_add(bytes as u64))
    }

    /// Returns whether the hub holds more than its limit. Reserved bytes do not count.
    #[inline]
    pub(crate) fn is_over_limit(&self) -> bool {
        !self.fits_now(0)
    }

    /// Returns whether there is room for further bytes if no other publisher adds the bytes that it has reserved.
    #[inline]
    pub(crate) fn fits_now(&self, bytes: u64) -> bool {
        let limit = self.limit as u64;
        let pinned = self.pinned.load().saturating_sub(limit / PIN_SHARE);
        (self.history.load() + self.states.load() + self.cached.load() + pinned).saturating_add(bytes) <= limit
    }

    /// Reserves room, so that other publishers evict for themselves instead of taking the room that this one makes.
    pub(crate) fn reserve(&self) -> Reserved<'_> {
        Reserved { budget: self, bytes: 0 }
    }

    /// Returns whether the states of all keyed topics may take further bytes.
    pub(crate) fn may_keep(&self, bytes: u64) -> bool {
        self.states.load().saturating_add(bytes) <= self.limit as u64 / STATE_SHARE
    }

    /// Returns whether caches may take further bytes, if there is room for them.
    pub(crate) fn may_cache(&self, bytes: usize) -> bool {
        self.cached.load().saturating_add(bytes as u64) <= self.limit as u64 / CACHE_SHARE
    }

    /// Adds the bytes of a topic that holds events, without its segments.
    pub(crate) fn add_topic(&self, bytes: usize) {
        self.history.add(bytes as u64);
    }

    /// Subtracts the bytes of a topic that holds no events any more.
    pub(crate) fn sub_topic(&self, bytes: usize) {
        self.history.sub(bytes as u64);
    }

    /// Charges bytes for a segment.
    pub(crate) fn segment(self: &Arc<Self>, bytes: usize) -> Charge {
        self.charge(Kind::Segment, bytes)
    }

    /// Charges bytes for a cache.
    pub(crate) fn cache(self: &Arc<Self>, bytes: usize) -> Charge {
        self.charge(Kind::Cache, bytes)
    }

    fn charge(self: &Arc<Self>, kind: Kind, bytes: usize) -> Charge {
        let charge = Charge {
            budget: Arc::clone(self),
            kind,
            bytes: Count::new(0),
            evicted: Flag::default(),
            pinned: Flag::default(),
        };
        charge.add(bytes);
        charge
    }

    /// Returns the bytes of segments in their logs, of evicted segments that readers hold, and of caches.
    pub(crate) fn used(&self) -> [u64; 3] {
        [&self.history, &self.pinned, &self.cached].map(Count::load)
    }
}

/// Bytes that other publishers leave free until this is dropped.
#[derive(Debug)]
pub(crate) struct Reserved<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Reserved<'_> {
    /// Replaces the number of reserved bytes.
    pub(crate) fn set(&mut self, bytes: usize) {
        self.budget.reserved.add(bytes as u64);
        self.budget.reserved.sub(self.bytes);
        self.bytes = bytes as u64;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.reserved.sub(self.bytes);
        }
    }
}

impl Charge {
    /// Adds bytes. Called by one thread at a time.
    pub(crate) fn add(&self, bytes: usize) {
        self.account().into_iter().for_each(|account| account.add(bytes as u64));
        self.bytes.set(self.bytes.load() + bytes as u64);
    }

    /// Returns the budget.
    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Returns the number of bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load()
    }

    /// Marks the segment as evicted: it does not count, unless a reader turns out to hold it. No bytes are added
    /// afterwards.
    pub(crate) fn evict(&self) {
        self.budget.history.sub(self.bytes());
        self.evicted.set();
    }

    /// Counts the evicted segment as held by a reader.
    pub(crate) fn pin(&self) {
        self.budget.pinned.add(self.bytes());
        self.pinned.set();
    }

    fn account(&self) -> Option<&Count> {
        match self.kind {
            Kind::Cache => Some(&self.budget.cached),
            Kind::Segment if self.pinned.is_set() => Some(&self.budget.pinned),
            Kind::Segment if self.evicted.is_set() => None,
            Kind::Segment => Some(&self.budget.history),
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account().into_iter().for_each(|account| account.sub(self.bytes()));
    }
}
