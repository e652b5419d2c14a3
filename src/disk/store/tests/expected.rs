//! List of records that the random programs compare a store with.

use std::collections::BTreeMap;

use super::support::topic;
use crate::disk::store::topics::TopicMeta;
use crate::disk::store::write::row_bytes;
use crate::disk::store::{Record, Store, TopicRow, keys, order, packed};
use crate::model::{EndReason, Event, Retention, StateLimits, Topic};

pub(super) const TOPICS: [&str; 4] = ["a", "b/c", "states/x", "states/y"];
/// Removals that a state keeps after they have left history.
pub(super) const REMOVALS: usize = 2;

/// Retention of the tests: `a` by count, `b/c` by bytes, the states by count.
pub(super) fn retention(topic: &Topic) -> Retention {
    match topic.as_str() {
        "a" => Retention::count(5),
        "b/c" => Retention::count(1_000).bytes(200),
        _ => Retention::count(3).state_limits(StateLimits::default().removals(REMOVALS)),
    }
}

/// Everything that was ever written.
#[derive(Default)]
pub(super) struct Model {
    pub(super) records: Vec<Record>,
    /// Highest trimmed sequence of each topic, as the store reported it.
    pub(super) trimmed: BTreeMap<String, u64>,
    /// Sequence up to which the history of each topic was dropped.
    pub(super) dropped: BTreeMap<String, u64>,
    /// Newest event of each key of each topic with a state, without the removals that the store reported as forgotten.
    pub(super) newest: BTreeMap<(String, String), Record>,
    /// Newest forgotten removal of each topic, as the store reported it.
    pub(super) forgotten: BTreeMap<String, u64>,
    pub(super) epochs: Vec<(u64, u64)>,
}

impl Model {
    pub(super) fn head(&self) -> u64 {
        self.records.last().map_or(0, Record::sequence)
    }

    pub(super) fn of(&self, name: &str) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.topic().as_str() == name)
    }

    /// Returns the retained records of a topic after a sequence.
    pub(super) fn retained(&self, name: &str, after: u64) -> Vec<Record> {
        let from = self.trimmed.get(name).copied().unwrap_or(0).max(after);
        self.of(name).filter(|record| record.sequence() > from).cloned().collect()
    }

    /// Adds a record. A removal of a key without an event, of one whose removal was forgotten, or of one that is removed, is
    /// not in the state.
    pub(super) fn write(&mut self, record: Record) {
        let key = match &record {
            Record::Event { event, .. } if record.topic().as_str().starts_with("states") => event.key(),
            _ => None,
        };
        if let Some(key) = key {
            let place = (record.topic().to_string(), key.to_owned());
            if !is_removal(&record) || self.newest.get(&place).is_some_and(|newest| !is_removal(newest)) {
                self.newest.insert(place, record.clone());
            }
        }
        self.records.push(record);
    }

    /// Returns the sequences of the removals in the state of a topic.
    pub(super) fn removals(&self, name: &str) -> Vec<u64> {
        let removals = self.newest.values().filter(|record| record.topic().as_str() == name && is_removal(record));
        let mut removals = removals.map(Record::sequence).collect::<Vec<_>>();
        removals.sort_unstable();
        removals
    }

    /// Returns the newest event of each key, in the order of the hub.
    pub(super) fn states(&self) -> Vec<Record> {
        let mut states = self.newest.values().cloned().collect::<Vec<_>>();
        states.sort_by_key(Record::sequence);
        states
    }

    /// Drops the records of a topic up to a sequence. The newest events of its keys stay.
    pub(super) fn drop_topic(&mut self, name: &str, up_to: u64) {
        let of_topic = self.of(name).map(Record::sequence);
        let last = of_topic.take_while(|&sequence| sequence <= up_to).last().unwrap_or(0);
        let trimmed = self.trimmed.entry(name.to_owned()).or_default();
        *trimmed = last.max(*trimmed);
        let dropped = self.dropped.entry(name.to_owned()).or_default();
        *dropped = up_to.min(*trimmed).max(*dropped);
    }

    /// Returns the row of a topic.
    pub(super) fn row(&self, topic: Topic) -> TopicRow {
        let name = topic.as_str();
        let of = |numbers: &BTreeMap<String, u64>| numbers.get(name).copied().unwrap_or(0);
        let weights = self.retained(name, 0).into_iter().filter_map(|record| match record {
            Record::Event { event, .. } => Some(event.weight() as u64),
            Record::End { .. } => None,
        });
        TopicRow {
            last: self.of(name).last().map_or(0, Record::sequence),
            trimmed: of(&self.trimmed),
            dropped: of(&self.dropped),
            events: weights.clone().count() as u64,
            bytes: weights.sum(),
            topic,
        }
    }

    /// Returns the last end of each topic that has no event after it and was not dropped.
    pub(super) fn ends(&self) -> Vec<Record> {
        let last = TOPICS.iter().filter_map(|name| self.of(name).last().cloned());
        let mut ends = last.filter(|record| matches!(record, Record::End { .. })).collect::<Vec<_>>();
        ends.retain(|end| self.dropped.get(end.topic().as_str()).is_none_or(|&dropped| dropped < end.sequence()));
        ends.sort_by_key(Record::sequence);
        ends
    }
}

pub(super) fn is_removal(record: &Record) -> bool {
    matches!(record, Record::Event { event, .. } if event.is_removal())
}

pub(super) fn record(sequence: u64, (place, kind, bytes): (usize, u8, u8)) -> Record {
    let topic = topic(TOPICS[place]);
    if kind == 0 {
        return Record::End { sequence, topic, at: sequence, reason: EndReason::ALL[usize::from(bytes) % 3] };
    }
    let key = format!("key {}", kind % 4);
    let event = match kind % 3 {
        0 if place >= 2 => Event::removal(&key).unwrap(),
        _ => Event::text("x".repeat(usize::from(bytes))).with_key(&key).unwrap(),
    };
    Record::Event { sequence, topic, at: sequence, event }
}

/// Returns the counters of a store, and those of its rows: bytes, retained records, ends, topics.
pub(super) fn counters(store: &Store) -> ([u64; 4], [u64; 4]) {
    let counted = store.with_view(|view| {
        let (mut bytes, mut retained) = (0, 0);
        for row in view.prefix(b"e") {
            let (key, value) = row?;
            let meta = TopicMeta::load(view, keys::topic_of(&key).unwrap())?;
            // Other rows are kept for a state.
            let trimmed = meta.map_or(u64::MAX, |meta| meta.trimmed);
            if keys::sequence_of(&key).unwrap() > trimmed {
                bytes += row_bytes(value.len());
                let entries = packed::entries(&key, &value)?.map(Result::unwrap);
                retained += entries.filter(|entry| entry.sequence > trimmed).count() as u64;
            }
        }
        for row in view.prefix(b"o") {
            bytes += order::bytes(row?.1.len());
        }
        Ok([bytes, retained, view.prefix(b"x").count() as u64, view.prefix(b"t").count() as u64])
    });
    let head = store.writer().head;
    ([head.bytes, head.retained, head.ends, head.topics], counted.unwrap())
}
