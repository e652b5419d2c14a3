use crate::disk::store::codec::ValueReader;
use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::options::Durability;
use crate::disk::store::packed::last_entry;
use crate::disk::store::read::meta;
use crate::disk::store::record::Record;
use crate::disk::store::store::Store;
use crate::disk::store::topics::TopicMeta;
use crate::disk::store::write::decode_newest;
use crate::model::{EndReason, Topic};

/// States of all topics that have one: the newest event of each key, removals included, in the order of the hub.
#[derive(Debug)]
pub(crate) struct States {
    /// Topics of which removals were forgotten, with the sequence of the newest of these.
    pub(crate) forgotten: Vec<(Topic, u64)>,
    /// Sequences and topics of the events, the last first.
    left: Vec<(u64, u32)>,
}

/// Rows of states that are removed in one batch.
const FORGOTTEN: usize = 1_024;

impl Store {
    /// Removes the states of topics whose retention has none any more. If such a topic gets one again, it begins empty.
    pub(crate) fn forget_states(&self) -> Result<(), DiskError> {
        let _writer = self.ready_writer()?;
        let mut from = b"k".to_vec();
        loop {
            let next = self.with_rows(|rows| {
                let (view, mut batch, mut next) = (rows.view(), rows.batch(), None);
                let mut topic: Option<(u32, TopicMeta, bool)> = None;
                for (looked, row) in view.range(from.clone()..=b"l".to_vec()).enumerate() {
                    let (key, value) = row?;
                    let Some(id) = keys::topic_of(&key).filter(|_| key.starts_with(b"k")) else { break };
                    if looked == FORGOTTEN {
                        next = Some(key.to_vec());
                        break;
                    }
                    if topic.as_ref().is_none_or(|(other, ..)| *other != id) {
                        let meta = meta(&view, id)?;
                        let has_state = self.has_state(&meta.topic);
                        topic = Some((id, meta, has_state));
                    }
                    let Some((_, meta, false)) = &topic else { continue };
                    let (sequence, _) = decode_newest(&key, &value)?;
                    batch.remove(&key);
                    batch.remove(keys::removal(id, sequence));
                    batch.remove(keys::kept(sequence));
                    if sequence <= meta.trimmed {
                        batch.remove(keys::event(id, sequence));
                    }
                }
                if !batch.is_empty() {
                    rows.commit(batch, Durability::Written)?;
                }
                Ok(next)
            })?;
            match next {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    /// Finds the states. Their events are read by [`Store::next_states`]. A topic whose retention has no state any more
    /// is left out.
    pub(crate) fn states(&self) -> Result<States, DiskError> {
        self.with_view(|view| {
            let mut states = States { forgotten: Vec::new(), left: Vec::new() };
            let mut topic: Option<(u32, Topic, bool)> = None;
            for row in view.prefix(b"k") {
                let (key, value) = row?;
                let id = keys::topic_of(&key).ok_or_else(|| DiskError::damaged("key of a state is incomplete"))?;
                let newest = decode_newest(&key, &value)?;
                let of_topic = match topic.take().filter(|(other, ..)| *other == id) {
                    Some(of_topic) => of_topic,
                    None => {
                        let topic = meta(view, id)?.topic;
                        let has_state = self.has_state(&topic);
                        (id, topic, has_state)
                    }
                };
                if of_topic.2 {
                    // The row without a key has the newest forgotten removal.
                    match key.len() {
                        5 => states.forgotten.push((of_topic.1.clone(), newest.0)),
                        _ => states.left.push((newest.0, id)),
                    }
                }
                topic = Some(of_topic);
            }
            states.left.sort_unstable_by(|one, other| other.cmp(one));
            Ok(states)
        })
    }

    /// Reads the next events of the states, at most `limit`. An empty result is the end. A write or trim between two
    /// calls replaces events that were found, so the states are read before the first write.
    pub(crate) fn next_states(&self, states: &mut States, limit: usize) -> Result<Vec<Record>, DiskError> {
        self.with_view(|view| {
            let next = states.left.split_off(states.left.len().saturating_sub(limit));
            let records = next.into_iter().rev().map(|(sequence, id)| {
                let key = keys::event(id, sequence);
                let missing = || DiskError::Damaged { sequence: Some(sequence), detail: "state is missing".to_owned() };
                let value = view.get(key)?.ok_or_else(missing)?;
                let entry = last_entry(&key, &value)?;
                if entry.body.is_event() { Ok(entry.record(&meta(view, id)?.topic)) } else { Err(missing()) }
            });
            records.collect()
        })
    }

    /// Returns the ends of topics that are remembered, in the order of the hub, at most 65,536.
    pub(crate) fn ends(&self) -> Result<Vec<Record>, DiskError> {
        self.with_view(|view| {
            let mut ends = Vec::new();
            for row in view.prefix(b"x") {
                let (key, value) = row?;
                let sequence = keys::sequence_of(&key).unwrap_or(0);
                let (id, at, reason) = decode_end(&key, &value)?;
                ends.push(Record::End { sequence, topic: meta(view, id)?.topic, at, reason });
            }
            Ok(ends)
        })
    }
}

/// Returns the topic, the time and the reason of an end that is remembered.
pub(super) fn decode_end(key: &[u8], value: &[u8]) -> Result<(u32, u64, EndReason), DiskError> {
    let mut value = ValueReader::open(key, value).map_err(DiskError::damaged)?;
    let mut fields = || {
        let id = u32::try_from(value.number()?).ok()?;
        let at = value.number()?;
        let reason = usize::try_from(value.number()?).ok()?;
        Some((id, at, *EndReason::ALL.get(reason)?))
    };
    fields().ok_or_else(|| DiskError::damaged("end of a topic is incomplete"))
}
