use std::collections::HashMap;

use crate::disk::store::codec::{Body, Row, ValueReader, ValueWriter};
use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::meta::Head;
use crate::disk::store::options::{Durability, StoreOptions};
use crate::disk::store::record::Record;
use crate::disk::store::rows::{Batch, Rows, View};
use crate::disk::store::store::{Store, Writer};
use crate::disk::store::topics::{Known, TopicCache, TopicMeta, encode_id};
use crate::model::{EndReason, Event, Topic};

/// Newest event of a key: its sequence, and whether it is a removal.
pub(super) type Newest = (u64, bool);

impl Store {
    /// Writes records, all or none, and returns when they are as durable as [`StoreOptions::durability`] says.
    ///
    /// After an error none of the records is in the store, and the next write continues at the same sequence. The next
    /// write also opens the database again if that is needed.
    ///
    /// # Errors
    ///
    /// - [`DiskError::OutOfOrder`]: the sequences do not ascend, or do not continue at the head.
    /// - [`DiskError::Full`], [`DiskError::ReadOnly`], [`DiskError::Damaged`], [`DiskError::Io`]: the disk refused.
    /// - [`DiskError::Closed`]: the store was closed.
    pub(crate) fn write(&self, records: &[Record]) -> Result<(), DiskError> {
        let mut writer = self.ready_writer()?;
        let mut last = writer.head.sequence;
        for record in records {
            if record.sequence() <= last {
                return Err(DiskError::OutOfOrder { sequence: record.sequence(), next: last + 1 });
            }
            last = record.sequence();
        }
        if records.is_empty() {
            return Ok(());
        }
        self.write_checked(&mut writer, records).or_else(|error| self.after_failure(&mut writer, records, error))
    }

    /// Opens the database again, and writes the records if fjall had stopped before for another reason. A full disk is
    /// not tried again: the database stays open for reads until the next write.
    #[cold]
    fn after_failure(&self, writer: &mut Writer, records: &[Record], error: DiskError) -> Result<(), DiskError> {
        writer.has_failed = true;
        writer.topics.clear();
        if matches!(error, DiskError::Full(_) | DiskError::ReadOnly(_)) {
            return Err(error);
        }
        let Ok(stored) = self.reload(writer) else { return Err(error) };
        if records.last().is_some_and(|last| last.sequence() == stored.sequence) {
            // The batch was complete, and fjall has synced the journal before it read it.
            writer.has_failed = false;
            writer.head = stored;
            let _ = writer.file.write(stored.epoch, stored.sequence);
            return Ok(());
        }
        if stored.sequence != writer.head.sequence || !matches!(error, DiskError::Io(_)) {
            return Err(error);
        }
        writer.head = stored;
        self.write_checked(writer, records).map(|()| writer.has_failed = false)
    }

    fn write_checked(&self, writer: &mut Writer, records: &[Record]) -> Result<(), DiskError> {
        // Until the commit has succeeded the cache contains topics that are not in the store.
        let mut topics = std::mem::take(&mut writer.topics);
        let (head, replaced, ids) = self.with_rows(|rows| {
            let view = rows.view();
            let mut round = WriteRound {
                view: &view,
                batch: rows.batch(),
                head: writer.head,
                newest: HashMap::new(),
                replaced: Vec::new(),
                ids: Vec::new(),
            };
            for key in &writer.replaced {
                round.batch.remove(key);
            }
            for record in records {
                round.add(record, &mut topics, &self.options)?;
            }
            let WriteRound { mut batch, head, replaced, ids, .. } = round;
            batch.put(keys::HEAD, head.encode());
            rows.commit(batch, self.options.durability)?;
            Ok((head, replaced, ids))
        })?;
        writer.topics = topics;
        writer.head = head;
        writer.replaced = replaced;
        writer.untrimmed.extend(ids);
        // The records are written. An older high-water mark is harmless.
        let _ = writer.file.write(head.epoch, head.sequence);
        Ok(())
    }
}

/// One write: its changes, and what they are based on.
struct WriteRound<'a> {
    view: &'a View,
    batch: Batch,
    head: Head,
    /// Newest events of keys in this batch.
    newest: HashMap<Vec<u8>, Newest>,
    replaced: Vec<Vec<u8>>,
    ids: Vec<u32>,
}

impl WriteRound<'_> {
    fn add(&mut self, record: &Record, topics: &mut TopicCache, options: &StoreOptions) -> Result<(), DiskError> {
        if topics.get_mut(record.topic()).is_none() {
            let known = match TopicCache::load(self.view, record.topic())? {
                Some(known) => known,
                None => self.create(record.topic())?,
            };
            topics.insert(known);
        }
        let Some(known) = topics.get_mut(record.topic()) else { return Err(DiskError::Closed) };
        let body = match record {
            Record::Event { event, sequence, topic, .. } => {
                self.end_is_over(known);
                known.number += 1;
                if let Some(key) = event.key().filter(|_| (options.retention)(topic).state.is_some()) {
                    self.replace(known, *sequence, key, event.is_removal())?;
                }
                Body::Event(Event::clone(event))
            }
            Record::End { reason, sequence, at, .. } => {
                self.end_is_over(known);
                self.remember_end(known, *sequence, *at, *reason);
                Body::End(*reason)
            }
        };
        known.weight += body.weight();
        let (key, order) = (keys::event(known.id, record.sequence()), keys::order(record.sequence()));
        let value = Row { at: record.at(), number: known.number, weight: known.weight, body }.encode(&key);
        self.head.bytes += row_bytes(value.len());
        self.head.sequence = record.sequence();
        self.batch.put_once(order, known.id.to_be_bytes());
        self.batch.put_once(key, value);
        if self.ids.last() != Some(&known.id) {
            self.ids.push(known.id);
        }
        Ok(())
    }

    #[cold]
    fn create(&mut self, topic: &Topic) -> Result<Known, DiskError> {
        let id = self.head.last_topic.checked_add(1);
        let id = id.ok_or_else(|| DiskError::Io(std::io::Error::other("all 4,294,967,295 topic ids are used")))?;
        self.head.last_topic = id;
        self.head.topics += 1;
        // A topic of this name may have been forgotten.
        let meta = TopicMeta { topic: topic.clone(), trimmed: self.head.forgotten, number: 0, end: 0 };
        let name = keys::topic_name(topic.as_str());
        self.batch.put(&name, encode_id(&name, id));
        self.batch.put(keys::topic(id), meta.encode(id));
        Ok(Known { id, meta, number: 0, weight: 0 })
    }

    /// Makes an event the newest of its key, as `KeyedState` of the hub in memory does.
    fn replace(&mut self, known: &Known, sequence: u64, key: &str, is_removal: bool) -> Result<(), DiskError> {
        let row = keys::newest(known.id, key);
        let old = match self.newest.get(&row) {
            Some(&newest) => Some(newest),
            None => newest(self.view, &row)?,
        };
        if old.is_none() && is_removal {
            return Ok(());
        }
        if let Some((old, was_removal)) = old {
            if was_removal {
                self.batch.remove(keys::removal(known.id, old));
            }
            if old <= known.meta.trimmed {
                self.replaced.extend([keys::event(known.id, old).to_vec(), keys::kept(old).to_vec()]);
            }
        }
        if is_removal {
            self.batch.put(keys::removal(known.id, sequence), Vec::new());
        }
        self.batch.put(&row, encode_newest(&row, (sequence, is_removal)));
        self.newest.insert(row, (sequence, is_removal));
        Ok(())
    }

    fn remember_end(&mut self, known: &mut Known, sequence: u64, at: u64, reason: EndReason) {
        known.meta.end = sequence;
        self.head.ends += 1;
        let key = keys::end(sequence);
        let mut value = ValueWriter::new(24);
        value.number(u64::from(known.id));
        value.number(at);
        value.number(EndReason::ALL.iter().position(|other| *other == reason).unwrap_or(0) as u64);
        self.batch.put(key, value.seal(&key));
        self.batch.put(keys::topic(known.id), known.meta.encode(known.id));
    }

    /// Forgets the end of a topic that continues.
    fn end_is_over(&mut self, known: &mut Known) {
        if known.meta.end > 0 {
            self.batch.remove(keys::end(known.meta.end));
            self.head.ends -= 1;
            known.meta.end = 0;
            self.batch.put(keys::topic(known.id), known.meta.encode(known.id));
        }
    }
}

/// Returns the bytes of an event that count in the budget: key, value, and the row of the order.
pub(super) fn row_bytes(value: usize) -> u64 {
    value as u64 + 13 + 13
}

pub(super) fn newest(view: &View, row: &[u8]) -> Result<Option<Newest>, DiskError> {
    view.get(row)?.map(|value| decode_newest(row, &value)).transpose()
}

pub(super) fn encode_newest(row: &[u8], (sequence, is_removal): Newest) -> Vec<u8> {
    let mut value = ValueWriter::new(16);
    value.number(sequence);
    value.byte(u8::from(is_removal));
    value.seal(row)
}

pub(super) fn decode_newest(row: &[u8], value: &[u8]) -> Result<Newest, DiskError> {
    let mut value = ValueReader::open(row, value).map_err(DiskError::damaged)?;
    let fields = value.number().zip(value.byte());
    fields.map(|(sequence, removal)| (sequence, removal == 1)).ok_or_else(|| DiskError::damaged("state is incomplete"))
}

impl Rows {
    /// Removes the events after `acknowledged`, which a failed write has left.
    #[cold]
    pub(super) fn roll_back(&self, mut head: Head, acknowledged: u64, options: &StoreOptions) -> Result<(), DiskError> {
        let view = self.view();
        let mut batch = self.batch();
        for row in view.range(keys::order(acknowledged + 1)..=keys::order(u64::MAX)) {
            let (order, id) = row?;
            let sequence = keys::sequence_of(&order).unwrap_or(0);
            let id = id.first_chunk().map_or(0, |id| u32::from_be_bytes(*id));
            let key = keys::event(id, sequence);
            batch.remove_once(order);
            batch.remove_once(key);
            let Some(value) = view.get(key)? else { continue };
            head.bytes = head.bytes.saturating_sub(row_bytes(value.len()));
            let meta = TopicMeta::load(&view, id)?;
            match Row::decode(&key, &value)?.body {
                Body::Event(event) => {
                    let is_kept = meta.is_some_and(|meta| (options.retention)(&meta.topic).state.is_some());
                    if let Some(key) = event.key().filter(|_| is_kept) {
                        restore_newest(&view, &mut batch, id, key, acknowledged)?;
                    }
                    batch.remove(keys::removal(id, sequence));
                }
                Body::End(_) => {
                    head.ends = head.ends.saturating_sub(1);
                    batch.remove(keys::end(sequence));
                    if let Some(meta) = meta {
                        batch.put(keys::topic(id), TopicMeta { end: 0, ..meta }.encode(id));
                    }
                }
            }
        }
        head.sequence = acknowledged;
        batch.put(keys::HEAD, head.encode());
        self.commit(batch, Durability::Synced)
    }
}

/// Finds the newest event of a key up to a sequence, and writes its row.
fn restore_newest(view: &View, batch: &mut Batch, id: u32, key: &str, up_to: u64) -> Result<(), DiskError> {
    let row = keys::newest(id, key);
    for event in view.range(keys::event(id, 0)..=keys::event(id, up_to)).rev() {
        let (place, value) = event?;
        let (Body::Event(event), Some(sequence)) = (Row::decode(&place, &value)?.body, keys::sequence_of(&place))
        else {
            continue;
        };
        if event.key() == Some(key) {
            if event.is_removal() {
                batch.put(keys::removal(id, sequence), Vec::new());
            }
            batch.put(&row, encode_newest(&row, (sequence, event.is_removal())));
            return Ok(());
        }
    }
    batch.remove(&row);
    Ok(())
}
