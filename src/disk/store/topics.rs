//! Topics: their rows, and a bounded cache of those that were written last.

use std::collections::HashMap;

use crate::disk::store::codec::{ValueReader, ValueWriter};
use crate::disk::store::damage::{is_damage, last_before_damage};
use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::packed::last_entry;
use crate::disk::store::rows::View;
use crate::disk::store::store::Store;
use crate::model::Topic;

/// Maximum number of topics in the cache. It is emptied when it is full.
const CACHED: usize = 65_536;

/// Topic of a store, as listed by [`Store::stored_topics`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicRow {
    /// Name.
    pub(crate) topic: Topic,
    /// Sequence of the last event or end, trimmed or not.
    pub(crate) last: u64,
    /// Highest trimmed sequence, or 0.
    pub(crate) trimmed: u64,
    /// Sequence up to which the history was dropped, or 0: the topic is as new after it.
    pub(crate) dropped: u64,
    /// Number of retained events. After damage of the last rows it is a lower bound until an event is written.
    pub(crate) events: u64,
    /// Sum of the payloads, names, keys and tags of the retained events, in bytes. After damage it is approximate, as
    /// `events` is.
    pub(crate) bytes: u64,
}

/// Row of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicMeta {
    pub(super) topic: Topic,
    /// Highest trimmed sequence.
    pub(super) trimmed: u64,
    /// Number of the last event up to that sequence.
    pub(super) number: u64,
    /// Sum of the weights of the events up to that sequence.
    pub(super) weight: u64,
    /// Sequence of the end that is remembered, or 0.
    pub(super) end: u64,
    /// Sequence up to which the history was dropped: the topic is as new after it. It is at most the trimmed one.
    pub(super) dropped: u64,
}

impl TopicMeta {
    /// Creates the row of a topic that had no event after a sequence.
    pub(super) fn new(topic: Topic, forgotten: u64) -> Self {
        Self { topic, trimmed: forgotten, number: 0, weight: 0, end: 0, dropped: forgotten }
    }

    pub(super) fn encode(&self, id: u32) -> Vec<u8> {
        let mut value = ValueWriter::new(48 + self.topic.as_str().len());
        value.label(self.topic.as_str());
        for number in [self.trimmed, self.number, self.weight, self.end, self.dropped] {
            value.number(number);
        }
        value.seal(&keys::topic(id))
    }

    pub(super) fn load(view: &View, id: u32) -> Result<Option<Self>, DiskError> {
        let key = keys::topic(id);
        view.get(key)?.map(|value| Self::decode(&key, &value)).transpose()
    }

    pub(super) fn decode(key: &[u8], value: &[u8]) -> Result<Self, DiskError> {
        let mut value = ValueReader::open(key, value).map_err(DiskError::damaged)?;
        Self::fields(&mut value).ok_or_else(|| DiskError::damaged("row of a topic is incomplete"))
    }

    fn fields(value: &mut ValueReader<'_>) -> Option<Self> {
        Some(Self {
            topic: Topic::new(value.label()?).ok()?,
            trimmed: value.number()?,
            number: value.number()?,
            weight: value.number()?,
            end: value.number()?,
            dropped: value.number()?,
        })
    }
}

/// Returns the id of a topic, if the store has it.
pub(super) fn id_of(view: &View, topic: &Topic) -> Result<Option<u32>, DiskError> {
    let key = keys::topic_name(topic.as_str());
    let Some(value) = view.get(&key)? else { return Ok(None) };
    decode_id(&key, &value).map(Some)
}

pub(super) fn encode_id(key: &[u8], id: u32) -> Vec<u8> {
    let mut value = ValueWriter::new(12);
    value.number(u64::from(id));
    value.seal(key)
}

pub(super) fn decode_id(key: &[u8], value: &[u8]) -> Result<u32, DiskError> {
    let mut value = ValueReader::open(key, value).map_err(DiskError::damaged)?;
    let id = value.number().and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| DiskError::damaged("id of a topic is incomplete"))
}

/// Position of the last record of a topic.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LastRecord {
    pub(super) sequence: u64,
    pub(super) number: u64,
    pub(super) weight: u64,
}

/// Returns the last record of a topic, or the last readable one.
pub(super) fn last_record(view: &View, id: u32) -> Result<Option<LastRecord>, DiskError> {
    let last = || {
        let row = view.range(keys::event(id, 0)..=keys::event(id, u64::MAX)).next_back();
        let last = row.map(|row| {
            let (key, value) = row?;
            let last = last_entry(&key, &value)?;
            Ok(LastRecord { sequence: last.sequence, number: last.number, weight: last.weight })
        });
        last.transpose()
    };
    match last() {
        Err(error) if is_damage(&error) => last_before_damage(view, id),
        last => last,
    }
}

/// State of a topic that a write needs.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) id: u32,
    pub(super) meta: TopicMeta,
    /// Number and weight of the last event.
    pub(super) number: u64,
    pub(super) weight: u64,
    /// Write that this topic was last part of, and the place of its row in that write.
    pub(super) row: (u64, usize),
}

/// Topics that were written last.
#[derive(Debug, Default)]
pub(super) struct TopicCache(HashMap<Topic, Known>);

impl TopicCache {
    pub(super) fn get_mut(&mut self, topic: &Topic) -> Option<&mut Known> {
        self.0.get_mut(topic)
    }

    pub(super) fn insert(&mut self, known: Known) {
        if self.0.len() >= CACHED {
            self.0.clear();
        }
        self.0.insert(known.meta.topic.clone(), known);
    }

    pub(super) fn remove(&mut self, topic: &Topic) {
        self.0.remove(topic);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Reads a topic from its rows, or returns `None` if the store does not have it.
    pub(super) fn load(view: &View, topic: &Topic) -> Result<Option<Known>, DiskError> {
        let Some(id) = id_of(view, topic)? else { return Ok(None) };
        let meta = TopicMeta::load(view, id)?.ok_or_else(|| DiskError::damaged(format!("topic {id} has no row")))?;
        let LastRecord { number, weight, .. } = last_record(view, id)?.unwrap_or_default();
        // The last row may be one that was trimmed, and is kept for the state.
        Ok(Some(Known { id, number: number.max(meta.number), weight: weight.max(meta.weight), meta, row: (0, 0) }))
    }
}

impl Store {
    /// Returns the topics with records after an id, in the order of their ids, at most `limit`, each with its id. Topics without
    /// records cost nothing. Topics whose row is damaged are left out.
    pub(crate) fn stored_topics(&self, after: Option<u32>, limit: usize) -> Result<Vec<(u32, TopicRow)>, DiskError> {
        self.with_view(|view| {
            let (mut found, mut next) = (Vec::new(), after.map_or(Some(0), |id| id.checked_add(1)));
            while let Some(from) = next.filter(|_| found.len() < limit) {
                let mut rows = view.range(keys::event(from, 0)..=keys::event(u32::MAX, u64::MAX));
                let Some(row) = rows.next() else { break };
                let id = keys::topic_of(&row?.0).unwrap_or(u32::MAX);
                match topic_row(view, id) {
                    Err(error) if is_damage(&error) => {}
                    row => found.push((id, row?)),
                }
                next = id.checked_add(1);
            }
            Ok(found)
        })
    }

    /// Returns the topics after a name, in the order of their names, at most `limit`.
    #[cfg(test)]
    pub(crate) fn topics(&self, after: Option<&Topic>, limit: usize) -> Result<Vec<TopicRow>, DiskError> {
        self.with_view(|view| {
            let mut from = keys::topic_name(after.map_or("", Topic::as_str));
            from.extend(after.map(|_| 0));
            let rows = view.range(from..=b"u".to_vec()).take(limit);
            rows.map(|row| row.and_then(|(key, value)| topic_row(view, decode_id(&key, &value)?))).collect()
        })
    }
}

fn topic_row(view: &View, id: u32) -> Result<TopicRow, DiskError> {
    let meta = TopicMeta::load(view, id)?.ok_or_else(|| DiskError::damaged(format!("topic {id} has no row")))?;
    let last = last_record(view, id)?.unwrap_or_default();
    Ok(TopicRow {
        last: last.sequence.max(meta.trimmed),
        trimmed: meta.trimmed,
        dropped: meta.dropped,
        events: last.number.saturating_sub(meta.number),
        bytes: last.weight.saturating_sub(meta.weight),
        topic: meta.topic,
    })
}
