use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;

use crate::contract::{Entry, EntryBlock, Format};
use crate::hub::budget::budget::{Budget, Charge};
use crate::hub::budget::cache_queue::Cached;
use crate::hub::budget::footprint;
use crate::hub::holds::count_steps;
use crate::hub::log::encode_cache::{self, CacheReader, CacheSource, EncodeCache};
use crate::hub::log::encode_kept;
use crate::hub::log::kept::Kept;
use crate::hub::sync::{Expiry, Length, Link, Marks, Replaced};
use crate::model::{Event, Topic};

/// Consecutive events of one log: written in order by one writer under the log's lock, read without a lock.
pub(crate) struct Segment {
    /// The segment itself, for queues that do not keep it in memory.
    this: Weak<Self>,
    /// Dense index of the first place.
    pub(crate) base: u64,
    block: Arc<EntryBlock>,
    len: Length,
    expiry: Expiry,
    /// Next segment, set when this one is sealed. Weak, so that a slow reader keeps one segment in memory and not all
    /// later ones.
    next: Link<Weak<Self>>,
    cache: OnceLock<Box<EncodeCache>>,
    /// Set only if a subscription conflates and a key was published twice.
    replaced: Link<Box<Replaced>>,
    marks: Marks,
    /// Bytes of the segment. Given back when the last reader has released it.
    charge: Charge,
}

impl Segment {
    /// Returns a segment for events of this topic; with `is_mixed`, of this and of other topics.
    pub(crate) fn new(
        topic: Topic,
        base: u64,
        places: usize,
        is_mixed: bool,
        epoch: u64,
        budget: &Arc<Budget>,
    ) -> Arc<Self> {
        let entries = std::iter::repeat_with(OnceLock::new).take(places).collect();
        let topics = std::iter::repeat_with(OnceLock::new).take(if is_mixed { places } else { 0 }).collect();
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            base,
            block: Arc::new(EntryBlock { topic, topics, epoch, entries }),
            len: Length::new(),
            expiry: Expiry::new(),
            next: Link::new(),
            cache: OnceLock::new(),
            replaced: Link::new(),
            marks: Marks::default(),
            charge: budget.segment(Self::footprint(places)),
        })
    }

    /// Returns the bytes that a segment with this number of places takes.
    pub(crate) const fn footprint(places: usize) -> usize {
        footprint::segment(size_of::<Self>() + size_of::<EntryBlock>(), size_of::<OnceLock<Entry>>(), places)
    }

    /// Returns a new segment with the events in the written places from `place` on.
    pub(crate) fn from(&self, place: u32) -> Arc<Self> {
        let (base, places) = (self.base + u64::from(place), place..self.len());
        let (topic, is_mixed) = (self.block.topic.clone(), !self.block.topics.is_empty());
        let fresh = Self::new(topic, base, places.len(), is_mixed, self.block.epoch, self.charge.budget());
        for (place, entry) in places.filter_map(|place| Some((place, self.entry(place)?))) {
            count_steps(1);
            fresh.push(self.block.topic_at(place), entry.clone());
            if self.is_replaced(place) {
                fresh.replace(self.base + u64::from(place));
            }
        }
        if let Some(next) = self.next.get() {
            fresh.seal(Weak::clone(next));
        }
        fresh
    }

    /// Returns the number of places.
    pub(crate) fn places(&self) -> usize {
        self.block.entries.len()
    }

    /// Returns the number of written places.
    pub(crate) fn len(&self) -> u32 {
        self.len.load()
    }

    /// Returns the dense index after the last event.
    pub(crate) fn end(&self) -> u64 {
        self.base + u64::from(self.len())
    }

    /// Writes the next place. Called under the log's lock, and only while there is a place.
    pub(crate) fn push(&self, topic: &Topic, entry: Entry) {
        let len = self.len();
        let topic = self.block.topics.get(len as usize).map(|place| {
            let _ = place.set(topic.clone());
            topic
        });
        if let Some(expires) = expires(&entry) {
            self.expiry.lower(expires);
        }
        self.charge.add(footprint::event(&entry.event, topic));
        if let Some(place) = self.block.entries.get(len as usize) {
            // A place above the length is empty: there is one writer.
            let _ = place.set(entry);
            self.len.set(len + 1);
        }
    }

    /// Returns the entry in a written place.
    pub(crate) fn entry(&self, place: u32) -> Option<&Entry> {
        self.block.entries.get(place as usize)?.get()
    }

    /// Returns the written entry at a dense index.
    pub(crate) fn entry_at(&self, index: u64) -> Option<&Entry> {
        self.entry(u32::try_from(index.checked_sub(self.base)?).ok()?)
    }

    /// Returns the sequence in a written place; 0 for another place.
    pub(crate) fn sequence(&self, place: u32) -> u64 {
        self.entry(place).map_or(0, |entry| entry.sequence)
    }

    /// Returns the first place of a range with a higher sequence than this one, or the end of the range.
    pub(crate) fn place_after(&self, sequence: u64, range: Range<u32>) -> u32 {
        let places = self.block.entries.get(range.start as usize..range.end as usize).unwrap_or_default();
        let before = places.partition_point(|place| place.get().is_some_and(|entry| entry.sequence <= sequence));
        range.start + before as u32
    }

    /// Returns the dense index of the first event after a sequence; `None` if all events here are before it.
    pub(crate) fn index_after(&self, sequence: u64) -> Option<u64> {
        let len = self.len();
        let place = self.place_after(sequence, 0..len);
        (place < len).then(|| self.base + u64::from(place))
    }

    /// Returns the place in a range of written places at which the events of the first one's topic end.
    pub(crate) fn end_of_topic(&self, range: Range<u32>) -> u32 {
        if self.block.topics.is_empty() {
            return range.end;
        }
        let topic = self.block.topic_at(range.start);
        range.clone().find(|&place| self.block.topic_at(place) != topic).unwrap_or(range.end)
    }

    /// Returns the key of the event in a written place. In a log of several topics it includes the topic.
    pub(crate) fn key(&self, place: u32) -> Option<Cow<'_, str>> {
        let key = self.entry(place)?.event.key()?;
        Some(match self.block.topics.get(place as usize).and_then(OnceLock::get) {
            // No topic contains a line feed.
            Some(topic) => format!("{topic}\n{key}").into(),
            None => key.into(),
        })
    }

    /// Returns the block of which batches are made.
    pub(crate) fn block(&self) -> &Arc<EntryBlock> {
        &self.block
    }

    /// Seals the segment: the next one exists, or this one was evicted as the newest.
    pub(crate) fn seal(&self, next: Weak<Self>) {
        self.next.set(next);
        if self.marks.seal() {
            self.charge.budget().caches.add_cold(self.this.clone());
        }
    }

    /// Returns the bytes charged for the segment.
    pub(crate) fn charged(&self) -> u64 {
        self.charge.bytes()
    }

    /// Returns whether no more events are written here.
    pub(crate) fn is_sealed(&self) -> bool {
        self.next.get().is_some()
    }

    /// Returns the next segment if this one is sealed; `Some(None)` if the next one is evicted already.
    pub(crate) fn next(&self) -> Option<Option<Arc<Self>>> {
        self.next.get().map(Weak::upgrade)
    }

    /// Returns whether no event here expires.
    pub(crate) fn never_expires(&self) -> bool {
        self.expiry.is_never()
    }

    /// Returns whether the event in a written place has expired.
    pub(crate) fn is_expired(&self, place: u32, now: u64) -> bool {
        self.entry(place).and_then(expires).is_some_and(|at| at <= now)
    }

    /// Marks the event at a dense index as replaced by `newer`, which has its key. A removal does not replace a removal: if
    /// the earlier one is forgotten, the state does not have the later one.
    pub(crate) fn replace_by(&self, newer: &Event, index: u64) {
        let is_removal = |entry: &Entry| entry.event.is_removal();
        if !newer.is_removal() || !self.entry_at(index).is_some_and(is_removal) {
            self.replace(index);
        }
    }

    /// Marks the event at a dense index as replaced by a newer one of its key.
    fn replace(&self, index: u64) {
        if self.replaced.get().is_none() {
            self.replaced.set(Box::new(Replaced::new(self.places())));
        }
        if let (Some(replaced), Some(place)) = (self.replaced.get(), index.checked_sub(self.base)) {
            replaced.set(place as u32);
        }
    }

    /// Marks the events here that are marked in another segment of the log.
    pub(crate) fn copy_marks(&self, other: &Self) {
        for index in self.base.max(other.base)..self.end().min(other.end()) {
            count_steps(1);
            if other.is_replaced((index - other.base) as u32) {
                self.replace(index);
            }
        }
    }

    /// Returns whether a newer event replaces the one in a written place.
    pub(crate) fn is_replaced(&self, place: u32) -> bool {
        self.replaced.get().is_some_and(|replaced| replaced.has(place))
    }

    /// Returns whether no event from this place on is replaced by a newer one.
    pub(crate) fn is_newest_from(&self, place: u32) -> bool {
        self.replaced.get().is_none_or(|replaced| replaced.end() <= place)
    }

    /// Returns events from the start of a range of written places, encoded, and the place after the last of them: at
    /// least one event, otherwise at most `max` bytes.
    #[inline(always)]
    pub(crate) fn encode(
        &self,
        format: &dyn Format,
        range: Range<u32>,
        max: usize,
        reader: impl CacheReader,
    ) -> (Bytes, u32) {
        match self.cache.get() {
            Some(cache) => cache.encode(self, format, range, max, reader),
            None => self.encode_first(format, range, max, reader),
        }
    }

    /// Returns the first of the kept events, encoded, their number, and the place after the last event that was looked at: at
    /// least one event, otherwise at most `max` bytes.
    pub(crate) fn encode_kept(
        &self,
        format: &dyn Format,
        kept: Kept,
        unread: Range<u32>,
        max: usize,
        reader: impl CacheReader,
    ) -> (Bytes, u32, u32) {
        if self.cache.get().is_none() && reader.is_alone() {
            return encode_kept::alone_kept(self, format, kept, max);
        }
        self.cache.get_or_init(Box::default).encode_kept(self, format, kept, unread, max, reader)
    }

    #[cold]
    fn encode_first(
        &self,
        format: &dyn Format,
        range: Range<u32>,
        max: usize,
        reader: impl CacheReader,
    ) -> (Bytes, u32) {
        match reader.is_alone() {
            true => encode_cache::alone(self, format, range, max),
            false => self.cache.get_or_init(Box::default).encode(self, format, range, max, reader),
        }
    }
}

impl CacheSource for Segment {
    fn events(&self) -> &EntryBlock {
        &self.block
    }

    fn cache_filled(&self) {
        let caches = &self.charge.budget().caches;
        match self.marks.cache() {
            Some(true) => caches.add_cold(self.this.clone()),
            Some(false) => caches.add_hot(self.this.clone()),
            None => {}
        }
    }
}

impl Cached for Segment {
    fn clear_caches(&self) -> bool {
        // A cache that is filled while they are emptied is not emptied, and is marked afterwards.
        let had = self.marks.empty();
        self.cache.get().into_iter().for_each(|cache| cache.clear());
        had
    }
}

/// Segment that has left its log. Dropped outside of the lock: the events are the user's.
#[derive(Debug)]
pub(crate) struct FreedSegment(Option<Arc<Segment>>);

impl FreedSegment {
    /// Counts the segment as evicted. Called under the log's lock.
    pub(crate) fn new(segment: Arc<Segment>) -> Self {
        segment.charge.evict();
        Self(Some(segment))
    }
}

impl Drop for FreedSegment {
    fn drop(&mut self) {
        let Some(held) = self.0.take().and_then(|segment| Arc::try_unwrap(segment).err()) else {
            return;
        };
        held.charge.pin();
        held.clear_caches();
    }
}

/// Returns the time at which an entry expires, in nanoseconds of its hub's clock.
pub(crate) fn expires(entry: &Entry) -> Option<u64> {
    entry.event.ttl().map(|ttl| entry.at.saturating_add(nanos(ttl)))
}

/// Returns a duration in nanoseconds, at most 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment").field("base", &self.base).field("len", &self.len).finish_non_exhaustive()
    }
}
