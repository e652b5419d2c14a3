use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::meta::Head;
use crate::disk::store::order::{self, OrderEntry};
use crate::disk::store::packed::{RowEntry, entries, last_entry};
use crate::disk::store::record::Record;
use crate::disk::store::rows::{Row, View};
use crate::disk::store::store::Store;
use crate::disk::store::topics::{TopicMeta, id_of};
use crate::model::Topic;

/// Records of the order that a read of all topics looks at.
pub(super) const STEP: usize = 8_192;

/// Limits of a page. A page with more records has at least one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    /// Maximum number of records.
    pub(crate) events: usize,
    /// Maximum sum of the weights of the events, in bytes.
    pub(crate) bytes: usize,
}

/// Part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogPage {
    /// Records in ascending order.
    pub(crate) records: Vec<Record>,
    /// Highest sequence that retention removed from the topic, or 0. If it is greater than the position before the
    /// page, events are missing. A page of several topics has 0: see [`Store::trimmed`].
    pub(crate) trimmed: u64,
    /// Sequence up to which the page is complete. The next page begins after it.
    pub(crate) up_to: u64,
    /// Number of batches that trimmed events before the page was read.
    pub(crate) trims: u64,
    /// Whether there may be records between `up_to` and the end of the range that was asked for.
    pub(crate) has_more: bool,
}

impl Store {
    /// Reads the records of a topic after a sequence, up to another one.
    ///
    /// # Errors
    ///
    /// Returns [`DiskError::Damaged`] if a record cannot be read or is missing.
    pub(crate) fn read(&self, topic: &Topic, after: u64, up_to: u64, limit: Limit) -> Result<LogPage, DiskError> {
        self.with_view(|view| {
            let Some(id) = id_of(view, topic)? else {
                let Head { forgotten, trims, .. } = head(view)?;
                return Ok(LogPage { records: Vec::new(), trimmed: forgotten, up_to, trims, has_more: false });
            };
            let meta = meta(view, id)?;
            let (trimmed, trims) = (meta.trimmed, head(view)?.trims);
            let mut page = LogPage { records: Vec::new(), trimmed, up_to, trims, has_more: false };
            let mut sum = 0;
            let from = after.max(meta.trimmed);
            scan(view, id, &meta, from, up_to, |entry| {
                sum += usize::try_from(entry.body.weight()).unwrap_or(usize::MAX);
                let is_full = page.records.len() >= limit.events.max(1) || sum > limit.bytes;
                if is_full && !page.records.is_empty() {
                    page.has_more = true;
                    page.up_to = page.records.last().map_or(from, Record::sequence);
                    return false;
                }
                page.records.push(entry.record(topic));
                true
            })?;
            Ok(page)
        })
    }

    /// Reads the records of all topics that `filter` accepts after a sequence, up to another one, in the order of the
    /// hub. A page may be empty and have more.
    ///
    /// An end is not contained if an event after it has been trimmed: see [`Store::ends`].
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Store::read`].
    pub(crate) fn read_all(
        &self,
        after: u64,
        up_to: u64,
        limit: Limit,
        filter: impl Fn(&Topic) -> bool,
    ) -> Result<LogPage, DiskError> {
        self.with_view(|view| {
            let trims = head(view)?.trims;
            let mut page = LogPage { records: Vec::new(), trimmed: 0, up_to, trims, has_more: false };
            if after >= up_to {
                return Ok(page);
            }
            let (mut topics, mut wanted) = (HashMap::new(), Vec::new());
            let (mut looked, mut last) = (0, after);
            'rows: for row in view.range(keys::order(after + 1)..=keys::order(u64::MAX)) {
                let (key, value) = row?;
                for entry in order::decode(&key, &value)? {
                    if entry.sequence <= after {
                        continue;
                    }
                    if entry.sequence > up_to {
                        break 'rows;
                    }
                    if looked == STEP || wanted.len() == limit.events.max(1) {
                        (page.has_more, page.up_to) = (true, last);
                        break 'rows;
                    }
                    looked += 1;
                    last = entry.sequence;
                    let topic = match topics.entry(entry.topic) {
                        Entry::Occupied(topic) => topic.into_mut(),
                        Entry::Vacant(place) => place.insert(TopicReader::load(view, entry.topic, &filter)?),
                    };
                    if topic.has(entry.sequence) {
                        wanted.push(entry);
                    }
                }
            }
            let mut sum = 0;
            for OrderEntry { sequence, topic, is_end } in wanted {
                let read =
                    topics.get_mut(&topic).map(|reader| reader.read(view, topic, sequence, is_end)).transpose()?;
                let Some(record) = read.flatten() else { continue };
                if let Record::Event { event, .. } = &record {
                    sum += event.weight();
                }
                if let Some(last) = page.records.last().filter(|_| sum > limit.bytes) {
                    (page.has_more, page.up_to) = (true, last.sequence());
                    break;
                }
                page.records.push(record);
            }
            Ok(page)
        })
    }

    /// Returns the highest sequence that retention removed from the topics that `filter` accepts, if it is greater than
    /// `after`, or else 0: of the topics in `only`, or of all. It looks at these unless nothing after `after` was removed.
    pub(crate) fn trimmed(
        &self,
        after: u64,
        only: Option<&[&Topic]>,
        filter: impl Fn(&Topic) -> bool,
    ) -> Result<u64, DiskError> {
        self.with_view(|view| {
            let head = head(view)?;
            if head.trimmed.max(head.forgotten) <= after {
                return Ok(0);
            }
            // A topic that was forgotten may have matched.
            let mut highest = head.forgotten;
            let mut look = |meta: TopicMeta| {
                if meta.trimmed > highest && filter(&meta.topic) {
                    highest = meta.trimmed;
                }
            };
            for topic in only.into_iter().flatten() {
                if let Some(id) = id_of(view, topic)? {
                    look(meta(view, id)?);
                }
            }
            for row in only.is_none().then(|| view.prefix(b"n")).into_iter().flatten() {
                let (key, value) = row?;
                look(TopicMeta::decode(&key, &value)?);
            }
            Ok(if highest > after { highest } else { 0 })
        })
    }
}

pub(super) fn head(view: &View) -> Result<Head, DiskError> {
    Head::decode(&view.get(keys::HEAD)?.ok_or_else(|| DiskError::damaged("head is missing"))?)
}

pub(super) fn meta(view: &View, id: u32) -> Result<TopicMeta, DiskError> {
    TopicMeta::load(view, id)?.ok_or_else(|| DiskError::damaged(format!("topic {id} has no row")))
}

type TopicRows = Box<dyn Iterator<Item = Result<Row, DiskError>>>;

/// Reader of one topic's records in a read of all topics. It has at most one row in memory.
struct TopicReader {
    /// `None` if the topic is not read.
    meta: Option<TopicMeta>,
    /// Sequence of the first record, and the rows from it on. `None` before the first record.
    rows: Option<(u64, TopicRows)>,
    /// Records of the current row.
    row: VecDeque<Record>,
}

impl TopicReader {
    fn load(view: &View, id: u32, filter: impl Fn(&Topic) -> bool) -> Result<Self, DiskError> {
        // A topic that was forgotten has only removed records.
        let meta = TopicMeta::load(view, id)?.filter(|meta| filter(&meta.topic));
        Ok(Self { meta, rows: None, row: VecDeque::new() })
    }

    /// Returns whether a record is read, and retained.
    fn has(&self, sequence: u64) -> bool {
        self.meta.as_ref().is_some_and(|meta| sequence > meta.trimmed)
    }

    /// Returns the record of a sequence, in ascending order. `None` for an end that was forgotten.
    fn read(&mut self, view: &View, id: u32, sequence: u64, is_end: bool) -> Result<Option<Record>, DiskError> {
        let Some(TopicMeta { topic, .. }) = &self.meta else { return Ok(None) };
        let rows = || view.range(keys::event(id, sequence)..=keys::event(id, u64::MAX));
        let (first, rows) = self.rows.get_or_insert_with(|| (sequence, Box::new(rows())));
        let damaged =
            |sequence, detail: &str| Err(DiskError::Damaged { sequence: Some(sequence), detail: detail.to_owned() });
        loop {
            match self.row.front().map(Record::sequence) {
                Some(next) if next == sequence => return Ok(self.row.pop_front()),
                Some(next) if next < sequence => return damaged(next, "the order of an event is missing"),
                None => {
                    if let Some(row) = rows.next() {
                        let (key, value) = row?;
                        for entry in entries(&key, &value)? {
                            self.row.extend(
                                Some(entry?).filter(|entry| entry.sequence >= *first).map(|entry| entry.record(topic)),
                            );
                        }
                        continue;
                    }
                }
                Some(_) => {}
            }
            return if is_end { Ok(None) } else { damaged(sequence, "an event is missing") };
        }
    }
}

/// Calls `next` with the records of a topic after a sequence that is not below the trimmed one, up to another one, until
/// it returns `false`. A number that is missing is an error.
fn scan(
    view: &View,
    id: u32,
    meta: &TopicMeta,
    after: u64,
    up_to: u64,
    mut next: impl FnMut(&RowEntry<'_>) -> bool,
) -> Result<(), DiskError> {
    if after >= up_to {
        return Ok(());
    }
    // The number before the first row is that of the row before it, or of the trimmed one.
    let before = match after > meta.trimmed {
        true => view.range(keys::event(id, meta.trimmed + 1)..=keys::event(id, after)).next_back().transpose()?,
        false => None,
    };
    let before = before.map(|(key, value)| Ok::<_, DiskError>(last_entry(&key, &value)?.number)).transpose()?;
    let mut number = before.unwrap_or(meta.number);
    for row in view.range(keys::event(id, after + 1)..=keys::event(id, u64::MAX)) {
        let (key, value) = row?;
        for entry in entries(&key, &value)? {
            let entry = entry?;
            if entry.sequence <= meta.trimmed {
                continue;
            }
            if entry.sequence > up_to {
                return Ok(());
            }
            number += u64::from(entry.body.is_event());
            if entry.number != number {
                let (sequence, detail) = (Some(entry.sequence), "events before it are missing".to_owned());
                return Err(DiskError::Damaged { sequence, detail });
            }
            if entry.sequence > after && !next(&entry) {
                return Ok(());
            }
        }
    }
    Ok(())
}
