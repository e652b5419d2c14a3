use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::contract::{Encoder, Format};
use crate::model::{Cursor, Event, Topic};

/// A run of one topic's events in their order: an owned handle on shared history, cheap to clone.
///
/// ```
/// use tidings::{Event, Topic};
/// use tidings::subscriber::Batch;
///
/// let batch = Batch::new(Topic::new("news")?, 7, [(3, Event::text("first")), (9, Event::text("second"))]);
/// let cursors: Vec<_> = batch.iter().filter_map(|published| published.cursor).map(|c| c.to_string()).collect();
/// assert_eq!(cursors, ["7.3", "7.9"]);
/// # Ok::<(), tidings::TopicError>(())
/// ```
#[derive(Clone)]
pub struct Batch {
    run: Arc<Run>,
    start: u32,
    end: u32,
    conflated: u32,
}

/// One event as a subscriber is given it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct EventRef<'a> {
    /// The topic that it was published to.
    pub topic: &'a Topic,
    /// The event.
    pub event: &'a Event,
    /// Its cursor, where the source has them.
    pub cursor: Option<Cursor>,
}

impl<'a> EventRef<'a> {
    /// An event of a topic, at a cursor where there is one.
    #[must_use]
    pub fn new(topic: &'a Topic, event: &'a Event, cursor: Option<Cursor>) -> Self {
        Self { topic, event, cursor }
    }
}

impl Batch {
    /// Events of one topic with their sequences in `epoch`, which must rise. Epoch 0 is that of a source that has no
    /// cursors.
    pub fn new(topic: Topic, epoch: u64, events: impl IntoIterator<Item = (u64, Event)>) -> Self {
        let entries: Box<[OnceLock<Entry>]> =
            events.into_iter().map(|(sequence, event)| OnceLock::from(Entry { sequence, at: 0, event })).collect();
        let end = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        Self { run: Arc::new(Run { topic, topics: Box::default(), epoch, entries }), start: 0, end, conflated: 0 }
    }

    pub(crate) fn of(run: Arc<Run>, range: Range<u32>) -> Self {
        Self { run, start: range.start, end: range.end, conflated: 0 }
    }

    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count() as usize
    }

    /// Returns the number of events as a `u32`, as an [`EncodedBatch`](crate::subscriber::EncodedBatch) has it.
    pub(crate) fn count(&self) -> u32 {
        self.end - self.start
    }

    /// How many events these stand for beside themselves: older ones of the same keys, for a subscriber that asked for
    /// the newest of each only. See [`Overflow::Latest`](crate::Overflow::Latest).
    #[must_use]
    pub fn conflated(&self) -> u32 {
        self.conflated
    }

    /// Sets the number of events that these replaced.
    #[must_use]
    pub fn with_conflated(self, conflated: u32) -> Self {
        Self { conflated, ..self }
    }

    /// Those after the first so many.
    pub(crate) fn without_first(self, count: u32) -> Self {
        Self { start: self.start.saturating_add(count).min(self.end), ..self }
    }

    /// Encodes events from the first on: as many as fit into `max` bytes, but at least one. Returns their bytes, their number
    /// and the cursor of the last.
    pub(crate) fn encode_first(&self, format: &dyn Format, max: usize) -> (Bytes, u32, Option<Cursor>) {
        let (bytes, count) = Encoder::encode(self.iter(), format, max);
        let end = self.start + count;
        let last = count.checked_sub(1).and_then(|_| self.run.published_of(self.topic(), end - 1..end).next());
        let cursor = last.and_then(|event| event.cursor);
        (bytes, count, cursor)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The topic of all of them.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        self.run.topic_at(self.start)
    }

    /// The events, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = EventRef<'_>> + '_ {
        self.run.published_of(self.topic(), self.start..self.end)
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Write-once places for events, shared by their log and by every batch of them.
pub(crate) struct Run {
    /// The topic of the events, or of the first where there are several.
    pub(crate) topic: Topic,
    /// The topic of each event if there are several; otherwise empty.
    pub(crate) topics: Box<[OnceLock<Topic>]>,
    /// 0: the source has no cursors.
    pub(crate) epoch: u64,
    pub(crate) entries: Box<[OnceLock<Entry>]>,
}

/// An event in its place.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) sequence: u64,
    /// When it was published, in nanoseconds of its hub's clock.
    pub(crate) at: u64,
    pub(crate) event: Event,
}

impl Run {
    /// The topic of a written place.
    pub(crate) fn topic_at(&self, place: u32) -> &Topic {
        self.topics.get(place as usize).and_then(OnceLock::get).unwrap_or(&self.topic)
    }

    /// The events in a range of places, those of them that are written.
    pub(crate) fn published(&self, range: Range<u32>) -> impl DoubleEndedIterator<Item = EventRef<'_>> + '_ {
        range.filter_map(|place| self.published_at(self.topic_at(place), self.entries.get(place as usize)?))
    }

    /// Returns the written events in a range of places that are all of this topic.
    pub(crate) fn published_of<'a>(
        &'a self,
        topic: &'a Topic,
        range: Range<u32>,
    ) -> impl DoubleEndedIterator<Item = EventRef<'a>> + 'a {
        let entries = self.entries.get(range.start as usize..range.end as usize).unwrap_or_default();
        entries.iter().filter_map(|place| self.published_at(topic, place))
    }

    fn published_at<'a>(&self, topic: &'a Topic, place: &'a OnceLock<Entry>) -> Option<EventRef<'a>> {
        let entry = place.get()?;
        Some(EventRef { topic, event: &entry.event, cursor: self.cursor(entry.sequence) })
    }

    pub(crate) fn cursor(&self, sequence: u64) -> Option<Cursor> {
        (self.epoch != 0).then(|| Cursor::new(self.epoch, sequence))
    }
}
