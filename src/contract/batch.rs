use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::contract::{Encoder, Format};
use crate::model::{Cursor, Event, Topic};

/// Consecutive events of one topic, in order.
///
/// A batch is an owned handle on shared history. Clones share the events.
///
/// ```
/// use tidings::{Event, Topic};
/// use tidings::subscriber::Batch;
///
/// let batch = Batch::new(Topic::new("news")?, 7, [(3, Event::text("first")), (9, Event::text("second"))]);
/// let cursors: Vec<_> = batch.iter().filter_map(|published| published.cursor).map(|c| c.to_string()).collect();
/// assert_eq!(cursors, ["7.a3", "7.a9"]);
/// # Ok::<(), tidings::TopicError>(())
/// ```
#[derive(Clone)]
pub struct Batch {
    block: Arc<EntryBlock>,
    start: u32,
    end: u32,
    conflated: u32,
}

/// Reference to a published event of a [`Batch`], with its topic and cursor.
///
/// ```
/// use tidings::subscriber::EventRef;
/// use tidings::{Event, Topic};
///
/// let (news, event) = (Topic::new("news")?, Event::text("first"));
/// let published = EventRef::new(&news, &event, None);
/// assert_eq!(published.event.as_str(), Some("first"));
/// # Ok::<(), tidings::TopicError>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct EventRef<'a> {
    /// Topic of the event.
    pub topic: &'a Topic,
    /// The event.
    pub event: &'a Event,
    /// Cursor of the event. `None` if the source has no cursors.
    pub cursor: Option<Cursor>,
}

impl<'a> EventRef<'a> {
    /// Creates a reference to an event of `topic`. `cursor` is `None` if the source has no cursors.
    #[must_use]
    pub fn new(topic: &'a Topic, event: &'a Event, cursor: Option<Cursor>) -> Self {
        Self { topic, event, cursor }
    }
}

impl Batch {
    /// Creates a batch of events of one topic. Each has its sequence in `epoch`. The sequences must be increasing. Epoch 0
    /// means that the source has no cursors.
    pub fn new(topic: Topic, epoch: u64, events: impl IntoIterator<Item = (u64, Event)>) -> Self {
        let entries: Box<[OnceLock<Entry>]> =
            events.into_iter().map(|(sequence, event)| OnceLock::from(Entry { sequence, at: 0, event })).collect();
        let end = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        Self {
            block: Arc::new(EntryBlock { topic, topics: Box::default(), epoch, entries }),
            start: 0,
            end,
            conflated: 0,
        }
    }

    pub(crate) fn of(block: Arc<EntryBlock>, range: Range<u32>) -> Self {
        Self { block, start: range.start, end: range.end, conflated: 0 }
    }

    /// Returns the number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count() as usize
    }

    /// Returns the number of events, in the type of [`EncodedBatch::events`](crate::subscriber::EncodedBatch::events).
    pub(crate) fn count(&self) -> u32 {
        self.end - self.start
    }

    /// Returns the number of older events that these replace, see [`Overflow::Latest`](crate::Overflow::Latest).
    #[must_use]
    pub fn conflated(&self) -> u32 {
        self.conflated
    }

    /// Sets the number of older events that these replace.
    #[must_use]
    pub fn with_conflated(self, conflated: u32) -> Self {
        Self { conflated, ..self }
    }

    /// Returns the events without the first `count`.
    pub(crate) fn without_first(self, count: u32) -> Self {
        Self { start: self.start.saturating_add(count).min(self.end), ..self }
    }

    /// Returns the events after a cursor of their epoch. `None` if there are none.
    pub(crate) fn after(self, cursor: Cursor) -> Option<Self> {
        let is_up_to = |event: &EventRef<'_>| event.cursor.is_some_and(|at| at.sequence() <= cursor.sequence());
        let skipped = self.iter().take_while(is_up_to).count();
        let rest = self.without_first(u32::try_from(skipped).unwrap_or(u32::MAX));
        Some(rest).filter(|rest| !rest.is_empty())
    }

    /// Encodes the first events, at most `max` bytes but at least one event. Returns their bytes, their number and the cursor
    /// of the last.
    pub(crate) fn encode_first(&self, format: &dyn Format, max: usize) -> (Bytes, u32, Option<Cursor>) {
        let (bytes, count) = Encoder::encode(self.iter(), format, max);
        let end = self.start + count;
        let last = count.checked_sub(1).and_then(|_| self.block.published_of(self.topic(), end - 1..end).next());
        let cursor = last.and_then(|event| event.cursor);
        (bytes, count, cursor)
    }

    /// Returns whether the batch has no events.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Returns the topic of the events.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        self.block.topic_at(self.start)
    }

    /// Returns an iterator over the events, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = EventRef<'_>> + '_ {
        self.block.published_of(self.topic(), self.start..self.end)
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Write-once places for events, shared by their log and by all batches of them.
pub(crate) struct EntryBlock {
    /// Topic of the events, or of the first one if there are several topics.
    pub(crate) topic: Topic,
    /// Topic of each event if there are several topics, otherwise empty.
    pub(crate) topics: Box<[OnceLock<Topic>]>,
    /// Epoch of the events. 0 if the source has no cursors.
    pub(crate) epoch: u64,
    pub(crate) entries: Box<[OnceLock<Entry>]>,
}

/// Published event in an [`EntryBlock`].
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) sequence: u64,
    /// Time of publication, in nanoseconds of the hub's clock.
    pub(crate) at: u64,
    pub(crate) event: Event,
}

impl EntryBlock {
    /// Returns the topic of a written place.
    pub(crate) fn topic_at(&self, place: u32) -> &Topic {
        self.topics.get(place as usize).and_then(OnceLock::get).unwrap_or(&self.topic)
    }

    /// Returns the written events in a range of places.
    pub(crate) fn published(&self, range: Range<u32>) -> impl DoubleEndedIterator<Item = EventRef<'_>> + '_ {
        range.filter_map(|place| self.published_at(place))
    }

    /// Returns the event in a written place.
    #[inline(always)]
    pub(crate) fn published_at(&self, place: u32) -> Option<EventRef<'_>> {
        Some(self.entries.get(place as usize)?.get()?.published(self.topic_at(place), self.epoch))
    }

    /// Returns the written events in a range of places, all of which are of this topic.
    pub(crate) fn published_of<'a>(
        &'a self,
        topic: &'a Topic,
        range: Range<u32>,
    ) -> impl DoubleEndedIterator<Item = EventRef<'a>> + 'a {
        let entries = self.entries.get(range.start as usize..range.end as usize).unwrap_or_default();
        entries.iter().filter_map(|entry| Some(entry.get()?.published(topic, self.epoch)))
    }
}

impl Entry {
    /// Returns the event with its topic and, unless the epoch is 0, its cursor.
    #[inline(always)]
    fn published<'a>(&'a self, topic: &'a Topic, epoch: u64) -> EventRef<'a> {
        let cursor = (epoch != 0).then(|| Cursor::new(epoch, self.sequence));
        EventRef { topic, event: &self.event, cursor }
    }
}
