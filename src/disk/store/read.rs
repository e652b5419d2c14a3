use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::disk::store::codec::{Body, Row};
use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::meta::Head;
use crate::disk::store::record::Record;
use crate::disk::store::rows::View;
use crate::disk::store::store::Store;
use crate::disk::store::topics::{TopicMeta, id_of};
use crate::model::Topic;

/// Rows of the order that a read of all topics looks at, and records that it returns, at most.
pub(super) const STEP: usize = 4_096;

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
            for row in rows(view, id, &meta, from, up_to)? {
                let (sequence, row) = row?;
                sum += usize::try_from(row.body.weight()).unwrap_or(usize::MAX);
                let is_full = page.records.len() >= limit.events.max(1) || sum > limit.bytes;
                if is_full && !page.records.is_empty() {
                    page.has_more = true;
                    page.up_to = page.records.last().map_or(from, Record::sequence);
                    break;
                }
                page.records.push(record(topic, sequence, row));
            }
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
            let mut topics = HashMap::new();
            let mut wanted = BTreeMap::<u32, BTreeSet<u64>>::new();
            let (mut found, mut last) = (0, after);
            for (looked, row) in view.range(keys::order(after + 1)..=keys::order(up_to)).enumerate() {
                let (key, id) = row?;
                if looked == STEP || found == limit.events.max(1) {
                    (page.has_more, page.up_to) = (true, last);
                    break;
                }
                let (sequence, id) = order_row(&key, &id)?;
                last = sequence;
                let topic = match topics.entry(id) {
                    Entry::Occupied(topic) => topic.into_mut(),
                    Entry::Vacant(place) => {
                        let meta = meta(view, id)?;
                        place.insert(filter(&meta.topic).then_some(meta))
                    }
                };
                if topic.is_some() {
                    found += 1;
                    wanted.entry(id).or_default().insert(sequence);
                }
            }
            for (id, sequences) in wanted {
                let (Some(Some(meta)), Some(&first), Some(&last)) =
                    (topics.get(&id), sequences.first(), sequences.last())
                else {
                    continue;
                };
                let mut left = sequences.len();
                for row in rows(view, id, meta, first - 1, last)? {
                    let (sequence, row) = row?;
                    if sequences.contains(&sequence) {
                        page.records.push(record(&meta.topic, sequence, row));
                        left -= 1;
                    }
                }
                if left > 0 {
                    return Err(DiskError::Damaged { sequence: Some(first), detail: "an event is missing".to_owned() });
                }
            }
            page.records.sort_unstable_by_key(Record::sequence);
            cut_to_bytes(&mut page, limit.bytes);
            Ok(page)
        })
    }

    /// Returns the highest sequence that retention removed from the topics that `filter` accepts, if it is greater than
    /// `after`, or else 0. It looks at all topics unless nothing after `after` was removed.
    pub(crate) fn trimmed(&self, after: u64, filter: impl Fn(&Topic) -> bool) -> Result<u64, DiskError> {
        self.with_view(|view| {
            let head = head(view)?;
            if head.trimmed.max(head.forgotten) <= after {
                return Ok(0);
            }
            // A topic that was forgotten may have matched.
            let mut highest = head.forgotten;
            for row in view.prefix(b"n") {
                let (key, value) = row?;
                let meta = TopicMeta::decode(&key, &value)?;
                if meta.trimmed > highest && filter(&meta.topic) {
                    highest = meta.trimmed;
                }
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

pub(super) fn order_row(key: &[u8], id: &[u8]) -> Result<(u64, u32), DiskError> {
    let fields = keys::sequence_of(key).zip(id.first_chunk().map(|id| u32::from_be_bytes(*id)));
    fields.ok_or_else(|| DiskError::damaged("row of the order is incomplete"))
}

pub(super) fn record(topic: &Topic, sequence: u64, row: Row) -> Record {
    let (topic, at) = (topic.clone(), row.at);
    match row.body {
        Body::Event(event) => Record::Event { sequence, topic, at, event },
        Body::End(reason) => Record::End { sequence, topic, at, reason },
    }
}

/// Returns the rows of a topic after a sequence that is not below the trimmed one, with their sequences. A number that
/// is missing is an error.
fn rows<'a>(
    view: &'a View,
    id: u32,
    meta: &TopicMeta,
    after: u64,
    up_to: u64,
) -> Result<impl Iterator<Item = Result<(u64, Row), DiskError>> + use<'a>, DiskError> {
    // The number before the first row is that of the row before it, or of the trimmed one.
    let before = match after > meta.trimmed {
        true => view.range(keys::event(id, meta.trimmed + 1)..=keys::event(id, after)).next_back(),
        false => None,
    };
    let mut number = match before {
        Some(row) => {
            let (key, value) = row?;
            Row::decode(&key, &value)?.number
        }
        None => meta.number,
    };
    let range = (after < up_to).then(|| view.range(keys::event(id, after + 1)..=keys::event(id, up_to)));
    Ok(range.into_iter().flatten().map(move |row| {
        let (key, value) = row?;
        let sequence = keys::sequence_of(&key).unwrap_or(0);
        let row = Row::decode(&key, &value)?;
        number += u64::from(matches!(row.body, Body::Event(_)));
        if row.number != number {
            let detail = "events before it are missing".to_owned();
            return Err(DiskError::Damaged { sequence: Some(sequence), detail });
        }
        Ok((sequence, row))
    }))
}

/// Removes the records beyond a sum of weights, but the first.
fn cut_to_bytes(page: &mut LogPage, bytes: usize) {
    let mut sum = 0;
    let fits = page.records.iter().take_while(|record| {
        sum += match record {
            Record::Event { event, .. } => event.weight(),
            Record::End { .. } => 0,
        };
        sum <= bytes
    });
    let count = fits.count().max(1);
    if count < page.records.len() {
        page.records.truncate(count);
        page.has_more = true;
        page.up_to = page.records.last().map_or(page.up_to, Record::sequence);
    }
}
