use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;

use crate::contract::{Entry, Format, Run};
use crate::hub::budget::{Budget, Charge};
use crate::hub::footprint;
use crate::hub::holds::count_visits;
use crate::hub::joined::{self, Joined, Reading};
use crate::hub::sync::{Expiry, Length, Link, Marks, Replaced};
use crate::model::Topic;

/// A stretch of one log: written in order by one writer under the log's lock, read without a lock.
pub(super) struct Segment {
    /// The segment itself, for references that do not keep it in memory.
    this: Weak<Self>,
    /// The dense index of the first place.
    pub(super) base: u64,
    run: Arc<Run>,
    len: Length,
    expiry: Expiry,
    /// Set when this one is sealed. Weak, so that a slow reader pins one segment and not all after it.
    next: Link<Weak<Self>>,
    joined: OnceLock<Box<Joined>>,
    /// Only where somebody conflates, and a key came twice.
    replaced: Link<Box<Replaced>>,
    marks: Marks,
    /// Given back when the last reader has let go of the segment.
    charge: Charge,
}

impl Segment {
    /// Returns a segment of a log, for events of this topic; `is_mixed`: of this and of others.
    pub(super) fn new(topic: Topic, base: u64, places: usize, is_mixed: bool, budget: &Arc<Budget>) -> Arc<Self> {
        let entries = std::iter::repeat_with(OnceLock::new).take(places).collect();
        let topics = std::iter::repeat_with(OnceLock::new).take(if is_mixed { places } else { 0 }).collect();
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            base,
            run: Arc::new(Run { topic, topics, epoch: budget.epoch, entries }),
            len: Length::new(),
            expiry: Expiry::new(),
            next: Link::new(),
            joined: OnceLock::new(),
            replaced: Link::new(),
            marks: Marks::default(),
            charge: budget.segment(footprint::segment(places)),
        })
    }

    /// Returns a segment of its own for the written places from this one on.
    pub(super) fn from(&self, place: u32, is_mixed: bool, budget: &Arc<Budget>) -> Arc<Self> {
        let (base, places) = (self.base + u64::from(place), place..self.len());
        let fresh = Self::new(self.run.topic.clone(), base, places.len(), is_mixed, budget);
        for (place, entry) in places.filter_map(|place| Some((place, self.entry(place)?))) {
            count_visits(1);
            fresh.push(self.run.topic_at(place), entry.clone());
            if self.is_replaced(place) {
                fresh.replace(self.base + u64::from(place));
            }
        }
        if let Some(next) = self.next.get() {
            fresh.seal(Weak::clone(next), budget);
        }
        fresh
    }

    /// How many places there are.
    pub(super) fn places(&self) -> usize {
        self.run.entries.len()
    }

    /// How many are written.
    pub(super) fn len(&self) -> u32 {
        self.len.load()
    }

    /// The dense index after the last event.
    pub(super) fn end(&self) -> u64 {
        self.base + u64::from(self.len())
    }

    /// Writes the next place. Only under the log's lock, and only while there is one.
    pub(super) fn push(&self, topic: &Topic, entry: Entry) {
        let len = self.len();
        let topic = self.run.topics.get(len as usize).map(|place| {
            let _ = place.set(topic.clone());
            topic
        });
        if let Some(expires) = expires(&entry) {
            self.expiry.lower(expires);
        }
        self.charge.add(footprint::event(&entry.event, topic));
        if let Some(place) = self.run.entries.get(len as usize) {
            // A place above the length is empty: nobody else writes.
            let _ = place.set(entry);
            self.len.set(len + 1);
        }
    }

    /// The written entry in a place.
    pub(super) fn entry(&self, place: u32) -> Option<&Entry> {
        self.run.entries.get(place as usize)?.get()
    }

    /// The written entry at a dense index.
    pub(super) fn entry_at(&self, index: u64) -> Option<&Entry> {
        self.entry(u32::try_from(index.checked_sub(self.base)?).ok()?)
    }

    /// The sequence in a written place; 0 in another.
    pub(super) fn sequence(&self, place: u32) -> u64 {
        self.entry(place).map_or(0, |entry| entry.sequence)
    }

    /// The first of the places in a range whose sequence is above this one, or the range's end.
    pub(super) fn place_after(&self, sequence: u64, range: Range<u32>) -> u32 {
        let places = self.run.entries.get(range.start as usize..range.end as usize).unwrap_or_default();
        let before = places.partition_point(|place| place.get().is_some_and(|entry| entry.sequence <= sequence));
        range.start + before as u32
    }

    /// Returns the end, in a range of written places, of the events of its first one's topic.
    pub(super) fn end_of_topic(&self, range: Range<u32>) -> u32 {
        if self.run.topics.is_empty() {
            return range.end;
        }
        let topic = self.run.topic_at(range.start);
        range.clone().find(|&place| self.run.topic_at(place) != topic).unwrap_or(range.end)
    }

    /// The key of the event in a written place, as one of its log: of several topics, each has its own keys.
    pub(super) fn key(&self, place: u32) -> Option<Cow<'_, str>> {
        let key = self.entry(place)?.event.key()?;
        Some(match self.run.topics.get(place as usize).and_then(OnceLock::get) {
            // No topic has a line feed.
            Some(topic) => format!("{topic}\n{key}").into(),
            None => key.into(),
        })
    }

    /// The run for a batch.
    pub(super) fn run(&self) -> &Arc<Run> {
        &self.run
    }

    /// Seals the segment: what follows is there, or the segment was evicted before anything followed.
    pub(super) fn seal(&self, next: Weak<Self>, budget: &Budget) {
        self.next.set(next);
        if self.marks.seal() {
            budget.caches.add_cold(&self.this);
        }
    }

    /// Returns the charged bytes.
    pub(super) fn charged(&self) -> u64 {
        self.charge.bytes()
    }

    /// Whether nothing more is written here.
    pub(super) fn is_sealed(&self) -> bool {
        self.next.get().is_some()
    }

    /// The segment after this one, when this one is sealed; `Some(None)` when that one is evicted already.
    pub(super) fn next(&self) -> Option<Option<Arc<Self>>> {
        self.next.get().map(Weak::upgrade)
    }

    /// Whether every event here lives for ever.
    pub(super) fn never_expires(&self) -> bool {
        self.expiry.is_never()
    }

    /// Whether the event in a written place has expired.
    pub(super) fn is_expired(&self, place: u32, now: u64) -> bool {
        self.entry(place).and_then(expires).is_some_and(|at| at <= now)
    }

    /// Marks the event at a dense index as one that a newer one of its key replaces.
    pub(super) fn replace(&self, index: u64) {
        if self.replaced.get().is_none() {
            self.replaced.set(Box::new(Replaced::new(self.places())));
        }
        if let (Some(replaced), Some(place)) = (self.replaced.get(), index.checked_sub(self.base)) {
            replaced.set(place as u32);
        }
    }

    /// Marks the events here that are marked in another segment of the log.
    pub(super) fn copy_marks(&self, other: &Self) {
        for index in self.base.max(other.base)..self.end().min(other.end()) {
            count_visits(1);
            if other.is_replaced((index - other.base) as u32) {
                self.replace(index);
            }
        }
    }

    /// Whether a newer event replaces the one in a written place.
    pub(super) fn is_replaced(&self, place: u32) -> bool {
        self.replaced.get().is_some_and(|replaced| replaced.has(place))
    }

    /// Whether no event from this place on is replaced by a newer one.
    pub(super) fn is_newest_from(&self, place: u32) -> bool {
        self.replaced.get().is_none_or(|replaced| replaced.end() <= place)
    }

    /// Events from the start of a range of written places, encoded: at least one, at most `max` bytes otherwise.
    /// Returns where they end.
    #[inline(always)]
    pub(super) fn encode(
        &self,
        format: &dyn Format,
        range: Range<u32>,
        max: usize,
        reading: Reading<'_>,
    ) -> (Bytes, u32) {
        match self.joined.get() {
            Some(joined) => joined.encode(self, format, range, max, reading),
            None => self.encode_first(format, range, max, reading),
        }
    }

    #[cold]
    fn encode_first(&self, format: &dyn Format, range: Range<u32>, max: usize, reading: Reading<'_>) -> (Bytes, u32) {
        match reading.is_alone() {
            true => joined::alone(self, format, range, max),
            false => self.joined.get_or_init(Box::default).encode(self, format, range, max, reading),
        }
    }

    /// There is something in the caches now: among the segments that have some it is the last.
    pub(super) fn cached(&self, budget: &Budget) {
        match self.marks.cache() {
            Some(true) => budget.caches.add_cold(&self.this),
            Some(false) => budget.caches.add_hot(&self.this),
            None => {}
        }
    }

    /// Empties the caches. False: there was nothing in them.
    pub(super) fn forget(&self) -> bool {
        // What is put in while they are emptied stays, and is marked by who puts it in after that.
        let had = self.marks.empty();
        self.joined.get().into_iter().for_each(|joined| joined.clear());
        had
    }
}

/// A segment that is not in its log any more. To be dropped outside of the lock: the events are the user's.
#[derive(Debug)]
pub(super) struct Evicted(Option<Arc<Segment>>);

impl Evicted {
    /// Under the log's lock.
    pub(super) fn new(segment: Arc<Segment>) -> Self {
        segment.charge.evict();
        Self(Some(segment))
    }
}

impl Drop for Evicted {
    fn drop(&mut self) {
        let Some(held) = self.0.take().and_then(|segment| Arc::try_unwrap(segment).err()) else {
            return;
        };
        held.charge.pin();
        held.forget();
    }
}

/// When an entry expires, in nanoseconds of its hub's clock.
pub(super) fn expires(entry: &Entry) -> Option<u64> {
    entry.event.time_to_live().map(|ttl| entry.at.saturating_add(nanos(ttl)))
}

/// A duration in nanoseconds, as far as 584 years go.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment").field("base", &self.base).field("len", &self.len).finish_non_exhaustive()
    }
}
