use std::sync::Arc;

use crate::hub::caches::Caches;
use crate::hub::late_marks::LateMarks;
use crate::hub::sizes::Sizes;
use crate::hub::sync::{Count, Flag};

/// Caches take at most this part of the limit: they may push history out of memory, but not the most of it.
const CACHE_SHARE: u64 = 4;
/// Part of the limit, a quarter, up to which evicted segments in the hands of readers do not count. Evicting more does
/// not free them: a publisher would evict everything for nothing, and then be refused because of a slow reader.
const PIN_SHARE: u64 = 4;

/// How many bytes a hub may hold, and how many it holds. Relaxed counts: between a look and what is done upon it others
/// may add to them, each what it publishes or caches in one go.
#[derive(Debug)]
pub(super) struct Budget {
    /// The hub's epoch, kept here for code that makes segments.
    pub(super) epoch: u64,
    pub(super) limit: usize,
    /// How many bytes of a log are kept for connected readers that are behind, those in history included.
    pub(super) live_buffer: u64,
    /// How many events went for the budget's sake.
    pub(super) evicted: Count,
    /// Bytes of segments in their logs.
    history: Count,
    /// Bytes of evicted segments that a reader still holds.
    pinned: Count,
    /// Bytes of encoded events.
    cached: Count,
    /// Bytes that the publishers which make room at this moment are about to add.
    reserved: Count,
    /// How many topics may hold events.
    pub(super) max_topics: usize,
    pub(super) sizes: Sizes,
    pub(super) caches: Caches,
    /// Late marks of the hub. They are here because eviction enters logs too.
    pub(super) late_marks: LateMarks,
}

/// Bytes that count against a budget until this is dropped.
#[derive(Debug)]
pub(super) struct Charge {
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

impl Budget {
    pub(super) fn new(epoch: u64, limit: usize, live_buffer: usize, max_topics: usize) -> Arc<Self> {
        Arc::new(Self {
            epoch,
            limit,
            live_buffer: live_buffer as u64,
            evicted: Count::new(0),
            history: Count::new(0),
            pinned: Count::new(0),
            cached: Count::new(0),
            reserved: Count::new(0),
            max_topics,
            sizes: Sizes::default(),
            caches: Caches::default(),
            late_marks: LateMarks::default(),
        })
    }

    /// Returns whether there is room for so many bytes more, beside what is reserved.
    #[inline]
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.has_room_but_for_others(self.reserved.load().saturating_add(bytes as u64))
    }

    /// Returns whether there is room for so many bytes, if no other publisher adds what it has reserved.
    #[inline]
    pub(super) fn has_room_but_for_others(&self, bytes: u64) -> bool {
        let limit = self.limit as u64;
        let pinned = self.pinned.load().saturating_sub(limit / PIN_SHARE);
        (self.history.load() + self.cached.load() + pinned).saturating_add(bytes) <= limit
    }

    /// Returns whether so many topics more may hold events.
    #[inline]
    pub(super) fn has_room_for_topics(&self, topics: usize) -> bool {
        self.sizes.topics().saturating_add(topics as u64) <= self.max_topics as u64
    }

    /// Returns how many topics must be evicted before so many more may hold events.
    pub(super) fn missing_topics(&self, topics: usize) -> u64 {
        self.sizes.topics().saturating_add(topics as u64).saturating_sub(self.max_topics as u64)
    }

    /// Reserves room, so that other publishers evict for themselves instead of taking what this one has evicted.
    pub(super) fn reserve(&self) -> Reserved<'_> {
        Reserved { budget: self, bytes: 0 }
    }

    /// Whether caches may take so many bytes more, if there is room for them.
    pub(super) fn may_cache(&self, bytes: usize) -> bool {
        self.cached.load().saturating_add(bytes as u64) <= self.limit as u64 / CACHE_SHARE
    }

    /// Counts what a topic takes that holds events, beside its segments.
    pub(super) fn add_topic(&self, bytes: usize) {
        self.history.add(bytes as u64);
    }

    /// Counts no more what a topic took that holds no events any more.
    pub(super) fn sub_topic(&self, bytes: usize) {
        self.history.sub(bytes as u64);
    }

    /// Charges a segment with bytes.
    pub(super) fn segment(self: &Arc<Self>, bytes: usize) -> Charge {
        self.charge(Kind::Segment, bytes)
    }

    /// Charges a cache with bytes.
    pub(super) fn cache(self: &Arc<Self>, bytes: usize) -> Charge {
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

    /// The bytes of segments in their logs, of evicted ones that readers hold, and of caches.
    pub(super) fn used(&self) -> [u64; 3] {
        [&self.history, &self.pinned, &self.cached].map(Count::load)
    }
}

/// Bytes that other publishers leave free until this is dropped.
#[derive(Debug)]
pub(super) struct Reserved<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Reserved<'_> {
    /// Reserves so many bytes instead of those before.
    pub(super) fn set(&mut self, bytes: usize) {
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
    /// Adds bytes. Only by one thread at a time.
    pub(super) fn add(&self, bytes: usize) {
        self.account().into_iter().for_each(|account| account.add(bytes as u64));
        self.bytes.set(self.bytes.load() + bytes as u64);
    }

    /// How many bytes it is.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load()
    }

    /// The segment is evicted: it does not count, unless it turns out that somebody holds it. Nothing is added any more.
    pub(super) fn evict(&self) {
        self.budget.history.sub(self.bytes());
        self.evicted.set();
    }

    /// Somebody holds the evicted segment.
    pub(super) fn pin(&self) {
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
