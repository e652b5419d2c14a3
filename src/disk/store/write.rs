use std::collections::HashMap;

use crate::disk::store::codec::{ValueReader, ValueWriter};
use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::meta::Head;
use crate::disk::store::options::StoreOptions;
use crate::disk::store::order::{self, OrderEntry, OrderWriter};
use crate::disk::store::packed::RowWriter;
use crate::disk::store::record::Record;
use crate::disk::store::rows::{Batch, View};
use crate::disk::store::store::{Store, Writer};
use crate::disk::store::topics::{Known, TopicCache, TopicMeta, encode_id};
use crate::model::{EndReason, Topic};

/// Size above which a row gets no more events, in bytes. A row is removed when its last event is.
const ROW: usize = 8 << 10;

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
    /// - [`DiskError::Io`]: the sequences do not ascend, or do not continue at the head.
    /// - [`DiskError::Full`], [`DiskError::ReadOnly`], [`DiskError::Damaged`], [`DiskError::Io`]: the disk refused.
    /// - [`DiskError::Closed`]: the store was closed.
    pub(crate) fn write(&self, records: &[Record]) -> Result<(), DiskError> {
        let mut writer = self.ready_writer()?;
        let mut last = writer.head.sequence;
        for record in records {
            if record.sequence() <= last {
                let text =
                    format!("record has sequence {}, but the store continues at {}", record.sequence(), last + 1);
                return Err(DiskError::Io(std::io::Error::other(text)));
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
    pub(super) fn after_failure(
        &self,
        writer: &mut Writer,
        records: &[Record],
        error: DiskError,
    ) -> Result<(), DiskError> {
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
                id: writer.head.sequence + 1,
                rows: Vec::new(),
                order: OrderWriter::default(),
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
            let (batch, head, replaced, ids) = round.finish();
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
    /// First sequence that the write may have.
    id: u64,
    /// Rows of the topics, with their ids. `None` once they are in the batch.
    rows: Vec<Option<(u32, RowWriter)>>,
    order: OrderWriter,
    /// Newest events of keys in this batch, and those before it.
    newest: HashMap<Vec<u8>, (Newest, Option<Newest>)>,
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
        self.end_is_over(known)?;
        let is_end = match record {
            Record::Event { sequence, topic, at, event } => {
                let key = event.key().filter(|_| (options.retention)(topic).state.is_some());
                if let Some(key) = key {
                    self.replace(known, *sequence, key, event.is_removal())?;
                }
                // An event of a state outlives its history, and is removed by itself.
                let place = self.row(known, key.is_some());
                if let Some(Some((_, row))) = self.rows.get_mut(place) {
                    row.event(*sequence, *at, event);
                    if key.is_some() || row.len() >= ROW {
                        self.seal(place);
                    }
                }
                known.number += 1;
                known.weight += event.weight() as u64;
                false
            }
            Record::End { sequence, at, reason, .. } => {
                self.remember_end(known, *sequence, *at, *reason);
                let place = self.row(known, true);
                if let Some(Some((_, row))) = self.rows.get_mut(place) {
                    row.end(*sequence, *at, *reason);
                    self.seal(place);
                }
                true
            }
        };
        self.head.sequence = record.sequence();
        self.head.retained += 1;
        self.order.add(OrderEntry { sequence: record.sequence(), topic: known.id, is_end });
        if self.order.count == order::MOST {
            std::mem::take(&mut self.order).write(&mut self.batch, &mut self.head);
        }
        Ok(())
    }

    /// Returns the place of the topic's row, or that of a new one.
    fn row(&mut self, known: &mut Known, is_alone: bool) -> usize {
        if known.row.0 == self.id {
            let place = known.row.1;
            if self.rows.get(place).is_some_and(Option::is_some) {
                if !is_alone {
                    return place;
                }
                self.seal(place);
            }
        } else {
            self.ids.push(known.id);
        }
        known.row = (self.id, self.rows.len());
        self.rows.push(Some((known.id, RowWriter::new(known.number, known.weight))));
        known.row.1
    }

    /// Adds a row to the batch.
    fn seal(&mut self, place: usize) {
        if let Some((id, row)) = self.rows.get_mut(place).and_then(Option::take) {
            let (key, value) = row.seal(id);
            self.head.bytes += row_bytes(value.len());
            self.batch.put_once(key, value);
        }
    }

    fn finish(mut self) -> (Batch, Head, Vec<Vec<u8>>, Vec<u32>) {
        (0..self.rows.len()).for_each(|place| self.seal(place));
        self.order.write(&mut self.batch, &mut self.head);
        self.batch.put(keys::HEAD, self.head.encode());
        (self.batch, self.head, self.replaced, self.ids)
    }

    #[cold]
    fn create(&mut self, topic: &Topic) -> Result<Known, DiskError> {
        let id = self.head.last_topic.checked_add(1);
        let id = id.ok_or_else(|| DiskError::Io(std::io::Error::other("all 4,294,967,295 topic ids are used")))?;
        self.head.last_topic = id;
        self.head.topics += 1;
        // A topic of this name may have been forgotten.
        let meta = TopicMeta::new(topic.clone(), self.head.forgotten);
        let name = keys::topic_name(topic.as_str());
        self.batch.put(&name, encode_id(&name, id));
        self.batch.put(keys::topic(id), meta.encode(id));
        Ok(Known { id, meta, number: 0, weight: 0, row: (0, 0) })
    }

    /// Makes an event the newest of its key. Of successive removals of a key the first one stays: a client that read up to a
    /// sequence between the first and a later one has got it.
    fn replace(&mut self, known: &Known, sequence: u64, key: &str, is_removal: bool) -> Result<(), DiskError> {
        let row = keys::newest(known.id, key);
        let (old, before) = match self.newest.get(&row) {
            Some(&(newest, before)) => (Some(newest), before),
            None => {
                let newest = newest(self.view, &row)?;
                (newest, newest)
            }
        };
        if is_removal && old.is_none_or(|(_, was_removal)| was_removal) {
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
        let newest = (sequence, is_removal);
        self.batch.put(&row, encode_newest(&row, newest, before));
        self.newest.insert(row, (newest, before));
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
    fn end_is_over(&mut self, known: &mut Known) -> Result<(), DiskError> {
        if known.meta.end > 0 {
            let key = keys::end(known.meta.end);
            // One that was damaged may have been forgotten since.
            if known.meta.end >= self.id || self.view.get(key)?.is_some() {
                self.batch.remove(key);
                self.head.ends = self.head.ends.saturating_sub(1);
            }
            known.meta.end = 0;
            self.batch.put(keys::topic(known.id), known.meta.encode(known.id));
        }
        Ok(())
    }
}

/// Returns the bytes of a row of events that count in the budget.
pub(super) fn row_bytes(value: usize) -> u64 {
    value as u64 + 13
}

pub(super) fn newest(view: &View, row: &[u8]) -> Result<Option<Newest>, DiskError> {
    view.get(row)?.map(|value| decode_newest(row, &value)).transpose()
}

/// Encodes the newest event of a key, and the one before the write, which is the newest again if the write fails.
pub(super) fn encode_newest(row: &[u8], newest: Newest, before: Option<Newest>) -> Vec<u8> {
    let mut value = ValueWriter::new(16);
    for (sequence, is_removal) in [newest].into_iter().chain(before) {
        value.number(sequence);
        value.byte(u8::from(is_removal));
    }
    value.seal(row)
}

pub(super) fn decode_newest(row: &[u8], value: &[u8]) -> Result<Newest, DiskError> {
    decode_newest_and_before(row, value).map(|(newest, _)| newest)
}

pub(super) fn decode_newest_and_before(row: &[u8], value: &[u8]) -> Result<(Newest, Option<Newest>), DiskError> {
    let mut value = ValueReader::open(row, value).map_err(DiskError::damaged)?;
    let mut next = || value.number().zip(value.byte()).map(|(sequence, removal)| (sequence, removal == 1));
    let newest = next().ok_or_else(|| DiskError::damaged("state is incomplete"))?;
    Ok((newest, next()))
}
