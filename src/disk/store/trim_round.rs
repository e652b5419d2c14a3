use std::time::Duration;

use crate::disk::store::damage::{after_damage, is_damage};
use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::meta::Head;
use crate::disk::store::options::StoreOptions;
use crate::disk::store::order;
use crate::disk::store::packed::{Body, RowEntry, entries, last_entry};
use crate::disk::store::rows::{Batch, View};
use crate::disk::store::topics::{LastRecord, TopicMeta, last_record};
use crate::disk::store::write::{decode_newest, encode_newest, newest, row_bytes};
use crate::model::{Retention, StateLimits};

/// One batch of trimming.
pub(super) struct TrimRound<'a> {
    pub(super) view: &'a View,
    pub(super) batch: Batch,
    pub(super) head: Head,
    pub(super) options: &'a StoreOptions,
    pub(super) now: u64,
    pub(super) left: &'a mut usize,
    /// Whether rows that cannot be read were removed. The numbers of events in a cache are not those of the rows then.
    pub(super) has_damage: bool,
}

/// Topic that is being trimmed.
pub(super) struct Trimmed<'a> {
    pub(super) id: u32,
    pub(super) meta: &'a mut TopicMeta,
    pub(super) retention: Retention,
    pub(super) newest: LastRecord,
    pub(super) up_to: u64,
    /// Ends before the next event: their keys and the sizes of their values.
    pub(super) ends: Vec<([u8; 13], usize)>,
}

impl TrimRound<'_> {
    /// Removes the oldest events of a topic, up to a sequence or as its retention says. Returns whether nothing is left
    /// to remove.
    pub(super) fn trim_topic(&mut self, id: u32, meta: &mut TopicMeta, up_to: u64) -> Result<bool, DiskError> {
        let retention = (self.options.retention)(&meta.topic);
        let Some(newest) = last_record(self.view, id)? else { return Ok(true) };
        let mut topic = Trimmed { id, meta, retention, newest, up_to, ends: Vec::new() };
        let mut is_done = self.trim_records(&mut topic)?;
        if let Some(limits) = topic.retention.state {
            is_done &= self.forget_removals(id, topic.meta.trimmed, limits)?;
        }
        Ok(is_done)
    }

    /// Removes the oldest events, and rows between them that cannot be read. Returns whether nothing is left to remove.
    pub(super) fn trim_records(&mut self, topic: &mut Trimmed<'_>) -> Result<bool, DiskError> {
        loop {
            match self.trim_rows(topic) {
                Err(error) if is_damage(&error) => {
                    if !self.trim_damage(topic)? {
                        return Ok(true);
                    }
                }
                result => return result,
            }
        }
    }

    fn trim_rows(&mut self, topic: &mut Trimmed<'_>) -> Result<bool, DiskError> {
        let id = topic.id;
        topic.ends.clear();
        for row in self.view.range(keys::event(id, topic.meta.trimmed + 1)..=keys::event(id, u64::MAX)) {
            let (key, value) = row?;
            for entry in entries(&key, &value)? {
                let entry = entry?;
                if entry.sequence <= topic.meta.trimmed {
                    continue;
                }
                if entry.sequence > topic.up_to && !topic.is_over(&entry, self.now) {
                    return Ok(true);
                }
                if let Body::End(_) = entry.body {
                    topic.ends.push((keys::event(id, entry.sequence), value.len()));
                    continue;
                }
                if *self.left == 0 {
                    return Ok(false);
                }
                *self.left -= 1;
                self.head.retained = self.head.retained.saturating_sub(1);
                (topic.meta.trimmed, topic.meta.number) = (entry.sequence, entry.number);
                topic.meta.weight = entry.weight;
                self.head.trimmed = self.head.trimmed.max(entry.sequence);
                self.trim_ends(topic);
            }
            if keys::sequence_of(&key) == Some(topic.meta.trimmed) {
                self.head.bytes = self.head.bytes.saturating_sub(row_bytes(value.len()));
                if self.is_in_state(topic, &key, &value)? {
                    self.batch.put(keys::kept(topic.meta.trimmed), id.to_be_bytes().to_vec());
                } else {
                    self.batch.remove_once(key);
                }
            }
        }
        Ok(true)
    }

    /// Removes the ends before an event that was removed. The end that is remembered has no event after it.
    pub(super) fn trim_ends(&mut self, topic: &mut Trimmed<'_>) {
        for (key, value) in topic.ends.drain(..) {
            self.head.retained = self.head.retained.saturating_sub(1);
            self.head.bytes = self.head.bytes.saturating_sub(row_bytes(value));
            self.batch.remove_once(key);
        }
    }

    /// Returns whether the event of a row is the newest of its key, in a topic with a state.
    fn is_in_state(&self, topic: &Trimmed<'_>, key: &[u8], value: &[u8]) -> Result<bool, DiskError> {
        let last = last_entry(key, value)?;
        let Some(key) = last.body.key().filter(|_| topic.retention.state.is_some()) else { return Ok(false) };
        match newest(self.view, &keys::newest(topic.id, key)) {
            Err(error) if is_damage(&error) => Ok(true),
            newest => Ok(newest?.is_some_and(|(newest, _)| newest == last.sequence)),
        }
    }

    /// Removes rows at the beginning of a topic that cannot be read, if the records after them show that it is time.
    /// Returns whether it is.
    #[cold]
    fn trim_damage(&mut self, topic: &mut Trimmed<'_>) -> Result<bool, DiskError> {
        let id = topic.id;
        let from = topic.meta.trimmed + 1;
        let damage = after_damage(self.view, id, from, self.head.sequence)?;
        let is_over = damage.next.as_ref().is_some_and(|next| {
            let Retention { count, bytes, age, .. } = topic.retention;
            topic.newest.number.saturating_sub(next.number) >= count as u64
                || topic.newest.weight.saturating_sub(next.weight) >= bytes as u64
                || self.now >= next.at.saturating_add(milliseconds(age))
        });
        if *self.left == 0 || !is_over && topic.up_to < damage.last {
            return Ok(false);
        }
        *self.left -= 1;
        self.has_damage = true;
        // Rows with a readable key.
        for row in self.view.range(keys::event(id, from)..=keys::event(id, damage.last)) {
            let Ok((key, _)) = row else { break };
            self.batch.remove(key);
        }
        // The order has the sequences that the rows may have as keys.
        for row in self.view.range(keys::order(from)..=keys::order(u64::MAX)) {
            let (key, value) = row?;
            let Ok(found) = order::decode(&key, &value) else { continue };
            for entry in found.iter().filter(|entry| entry.topic == id && entry.sequence >= from) {
                if entry.sequence <= damage.last {
                    self.head.retained = self.head.retained.saturating_sub(1);
                    self.batch.remove(keys::event(id, entry.sequence));
                }
            }
            if keys::sequence_of(&key) >= Some(damage.last) {
                break;
            }
        }
        self.batch.remove(keys::event(id, damage.last));
        topic.meta.trimmed = damage.last;
        // Rows that are kept for a state may be the last readable ones.
        let LastRecord { number, weight, .. } = topic.newest;
        let before = damage.next.map_or((number, weight), |next| (next.number, next.weight));
        topic.meta.number = topic.meta.number.max(before.0);
        topic.meta.weight = topic.meta.weight.max(before.1);
        self.head.trimmed = self.head.trimmed.max(damage.last);
        Ok(true)
    }

    /// Forgets removals that have left history and are too many or too old, as `KeyedState` of the hub in memory does.
    /// Returns whether nothing is left to forget.
    fn forget_removals(&mut self, id: u32, trimmed: u64, limits: StateLimits) -> Result<bool, DiskError> {
        let rows = self.view.range(keys::removal(id, 0)..=keys::removal(id, u64::MAX));
        let removals = rows.map(|row| Ok(keys::sequence_of(&row?.0).unwrap_or(0)));
        let removals = removals.collect::<Result<Vec<_>, DiskError>>()?;
        let (mut forgotten, mut is_done) = (0, true);
        for (place, &sequence) in removals.iter().enumerate().take_while(|&(_, &sequence)| sequence <= trimmed) {
            let place_of_event = keys::event(id, sequence);
            let Some(value) = self.view.get(place_of_event)? else { continue };
            let event = last_entry(&place_of_event, &value);
            let is_new =
                event.as_ref().is_ok_and(|event| self.now < event.at.saturating_add(milliseconds(limits.removal_age)));
            if removals.len() - place <= limits.removals && is_new {
                break;
            }
            if *self.left == 0 {
                is_done = false;
                break;
            }
            *self.left -= 1;
            match event {
                Ok(event) => self.batch.remove(keys::newest(id, event.body.key().unwrap_or_default())),
                Err(_) => self.forget_newest(id, sequence)?,
            }
            self.batch.remove(keys::removal(id, sequence));
            self.batch.remove(place_of_event);
            self.batch.remove(keys::kept(sequence));
            forgotten = sequence;
        }
        if forgotten > 0 {
            let key = keys::newest(id, "");
            self.batch.put(&key, encode_newest(&key, (forgotten, true), None));
            self.head.forgotten_removal = self.head.forgotten_removal.max(forgotten);
        }
        Ok(is_done)
    }

    /// Removes the row of the key whose newest event has a sequence.
    #[cold]
    fn forget_newest(&mut self, id: u32, sequence: u64) -> Result<(), DiskError> {
        for row in self.view.prefix(&keys::newest(id, "")) {
            let (key, value) = row?;
            if key.len() > 5 && decode_newest(&key, &value).is_ok_and(|newest| newest.0 == sequence) {
                self.batch.remove(&key);
            }
        }
        Ok(())
    }

    /// Forgets a topic without events, state and end. Its trimmed events and forgotten removals count for all topics
    /// that the store does not have.
    pub(super) fn forget_if_empty(&mut self, id: u32, meta: &TopicMeta) -> Result<(), DiskError> {
        let forgotten_removal = keys::newest(id, "");
        let mut state = self.view.prefix(&forgotten_removal).take(2);
        let has_state = state.any(|row| row.map_or(true, |(key, _)| *key != *forgotten_removal));
        let has_rows = || self.view.range(keys::event(id, 0)..=keys::event(id, u64::MAX)).next().is_some();
        if meta.end > 0 || has_state || has_rows() {
            return Ok(());
        }
        if let Some((removal, _)) = newest(self.view, &forgotten_removal)? {
            self.head.forgotten_state = self.head.forgotten_state.max(removal);
            self.batch.remove(&forgotten_removal);
        }
        self.batch.remove(keys::topic_name(meta.topic.as_str()));
        self.batch.remove(keys::topic(id));
        self.head.topics = self.head.topics.saturating_sub(1);
        self.head.forgotten = self.head.forgotten.max(meta.trimmed);
        Ok(())
    }
}

impl Trimmed<'_> {
    /// Returns whether a record, as the oldest one, exceeds the retention.
    fn is_over(&self, entry: &RowEntry<'_>, now: u64) -> bool {
        let Retention { count, bytes, age, .. } = self.retention;
        let before = entry.weight - entry.body.weight();
        let number = self.newest.number.saturating_sub(entry.number) + u64::from(entry.body.is_event());
        number > count as u64
            || self.newest.weight.saturating_sub(before) > bytes as u64
            || now >= entry.at.saturating_add(milliseconds(age))
            || entry.has_expired(now)
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
