//! Topics: their rows, and a bounded cache of those that were written last.

use std::collections::HashMap;

use crate::disk::store::codec::{Row, ValueReader, ValueWriter};
use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::rows::View;
use crate::disk::store::store::Store;
use crate::model::Topic;

/// Maximum number of topics in the cache. It is emptied when it is full.
const CACHED: usize = 65_536;

/// Topic of a store, as listed by [`Store::topics`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicRow {
    /// Name.
    pub(crate) topic: Topic,
    /// Sequence of the last event or end, trimmed or not.
    pub(crate) last: u64,
    /// Highest trimmed sequence, or 0.
    pub(crate) trimmed: u64,
}

/// Row of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicMeta {
    pub(super) topic: Topic,
    /// Highest trimmed sequence.
    pub(super) trimmed: u64,
    /// Number of the event with that sequence.
    pub(super) number: u64,
    /// Sequence of the end that is remembered, or 0.
    pub(super) end: u64,
}

impl TopicMeta {
    pub(super) fn encode(&self, id: u32) -> Vec<u8> {
        let mut value = ValueWriter::new(32 + self.topic.as_str().len());
        value.label(self.topic.as_str());
        value.number(self.trimmed);
        value.number(self.number);
        value.number(self.end);
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
            end: value.number()?,
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

/// Returns the last event or end of a topic, with its sequence.
pub(super) fn last_row(view: &View, id: u32) -> Result<Option<(u64, Row)>, DiskError> {
    let Some(row) = view.range(keys::event(id, 0)..=keys::event(id, u64::MAX)).next_back() else { return Ok(None) };
    let (key, value) = row?;
    let row = Row::decode(&key, &value)?;
    Ok(keys::sequence_of(&key).map(|sequence| (sequence, row)))
}

/// State of a topic that a write needs.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) id: u32,
    pub(super) meta: TopicMeta,
    /// Number and weight of the last event.
    pub(super) number: u64,
    pub(super) weight: u64,
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
        let (number, weight) = last_row(view, id)?.map_or((0, 0), |(_, row)| (row.number, row.weight));
        // The last row may be one that was trimmed, and is kept for the state.
        Ok(Some(Known { id, number: number.max(meta.number), weight, meta }))
    }
}

impl Store {
    /// Returns the topics after a name, in the order of their names, at most `limit`.
    pub(crate) fn topics(&self, after: Option<&Topic>, limit: usize) -> Result<Vec<TopicRow>, DiskError> {
        self.with_view(|view| {
            let mut from = keys::topic_name(after.map_or("", Topic::as_str));
            from.extend(after.map(|_| 0));
            let mut found = Vec::new();
            for row in view.range(from..=b"u".to_vec()).take(limit) {
                let (key, value) = row?;
                let id = decode_id(&key, &value)?;
                let meta =
                    TopicMeta::load(view, id)?.ok_or_else(|| DiskError::damaged(format!("topic {id} has no row")))?;
                let last = last_row(view, id)?.map_or(0, |(sequence, _)| sequence).max(meta.trimmed);
                found.push(TopicRow { topic: meta.topic, last, trimmed: meta.trimmed });
            }
            Ok(found)
        })
    }
}
