use std::collections::{BTreeMap, HashMap};

use crate::disk::store::damage::{is_damage, order_rows};
use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::options::Durability;
use crate::disk::store::order::{self, OrderEntry, OrderWriter};
use crate::disk::store::rows::View;
use crate::disk::store::store::{Store, Writer};
use crate::disk::store::topics::TopicMeta;

/// Records of all topics that are removed at once for the byte budget.
const OLDEST: usize = 64;
/// Records of the order that are looked at in one step.
const STEP: usize = 16_384;

/// Finds out which records are retained.
struct Retained<'a> {
    view: &'a View,
    /// Highest trimmed sequences. `None`: the topic was forgotten.
    topics: HashMap<u32, Option<u64>>,
}

impl<'a> Retained<'a> {
    fn new(view: &'a View) -> Self {
        Self { view, topics: HashMap::new() }
    }

    fn contains(&mut self, entry: &OrderEntry) -> Result<bool, DiskError> {
        let trimmed = match self.topics.get(&entry.topic) {
            Some(trimmed) => *trimmed,
            None => {
                let trimmed = match TopicMeta::load(self.view, entry.topic) {
                    // Its records cannot be removed.
                    Err(error) if is_damage(&error) => Some(0),
                    meta => meta?.map(|meta| meta.trimmed),
                };
                self.topics.insert(entry.topic, trimmed);
                trimmed
            }
        };
        let is_above = trimmed.is_some_and(|trimmed| entry.sequence > trimmed);
        // An end may have been forgotten.
        Ok(is_above && (!entry.is_end || self.view.get(keys::event(entry.topic, entry.sequence))?.is_some()))
    }
}

impl Store {
    /// Returns the topics of the oldest events after a sequence, each with the highest of their sequences, and the last
    /// sequence that was looked at. `None`: there is no record.
    pub(super) fn oldest(
        &self,
        head: u64,
        after: u64,
        left: usize,
    ) -> Result<(BTreeMap<u32, u64>, Option<u64>), DiskError> {
        self.with_view(|view| {
            let (mut oldest, mut last, mut found) = (BTreeMap::new(), None, 0);
            let mut retained = Retained::new(view);
            order_rows(view, after, head, |key, _, entries| {
                for entry in entries.iter().filter(|entry| entry.sequence > after) {
                    last = Some(entry.sequence);
                    if !entry.is_end && retained.contains(entry)? {
                        found += 1;
                        oldest.insert(entry.topic, entry.sequence);
                    }
                    if found == OLDEST.min(left) {
                        return Ok(false);
                    }
                }
                last = Some(key);
                Ok(true)
            })?;
            Ok((oldest, last))
        })
    }

    /// Moves the floor up to the first record that is retained, and removes the rows of the order and the epochs below
    /// it. Returns whether there is more to do.
    pub(super) fn raise_floor(&self, writer: &mut Writer) -> Result<bool, DiskError> {
        let mut head = writer.head;
        let has_more = self.with_rows(|rows| {
            let (view, mut batch) = (rows.view(), rows.batch());
            let (mut retained, mut looked) = (Retained::new(&view), 0);
            let (mut floor, mut has_more) = (head.sequence, false);
            order_rows(&view, head.floor, head.sequence, |key, size, entries| {
                looked += entries.len();
                for entry in entries {
                    if looked > STEP || retained.contains(entry)? {
                        (floor, has_more) = (entry.sequence - 1, looked > STEP);
                        return Ok(false);
                    }
                }
                head.ordered = head.ordered.saturating_sub(entries.len() as u64);
                head.bytes = head.bytes.saturating_sub(order::bytes(size));
                batch.remove(keys::order(key));
                Ok(true)
            })?;
            head.floor = floor;
            if writer.epochs.prune(head.floor + 1, head.trimmed) {
                batch.put(keys::EPOCHS, writer.epochs.encode());
            }
            if !batch.is_empty() {
                batch.put(keys::HEAD, head.encode());
                rows.commit(batch, Durability::Written)?;
            }
            Ok(has_more)
        })?;
        // Without a change the head is written with the next batch. A lower floor costs time only.
        writer.head = head;
        Ok(has_more)
    }

    /// Removes records that are not retained from the rows of the order. It begins when these are most of the records,
    /// and takes at most as many steps as it looks at records. Returns whether there is more to do.
    pub(super) fn trim_order(&self, writer: &mut Writer, left: &mut usize) -> Result<bool, DiskError> {
        if self.raise_floor(writer)? {
            return Ok(true);
        }
        let mut head = writer.head;
        if writer.ordered_up_to.is_none() && head.ordered <= 2 * head.retained {
            return Ok(false);
        }
        let from = writer.ordered_up_to.unwrap_or(0);
        let last = self.with_rows(|rows| {
            let (view, mut batch) = (rows.view(), rows.batch());
            let (mut retained, mut kept, mut looked) = (Retained::new(&view), OrderWriter::default(), 0);
            let mut last = None;
            let limit = STEP.min(*left);
            order_rows(&view, from, head.sequence, |key, size, entries| {
                last = Some(key);
                looked += entries.len();
                if size > 0 {
                    head.ordered = head.ordered.saturating_sub(entries.len() as u64);
                    head.bytes = head.bytes.saturating_sub(order::bytes(size));
                }
                batch.remove(keys::order(key));
                for entry in entries {
                    if retained.contains(entry)? {
                        kept.add(*entry);
                    }
                    if kept.count == order::MOST {
                        std::mem::take(&mut kept).write(&mut batch, &mut head);
                    }
                }
                Ok(looked < limit)
            })?;
            kept.write(&mut batch, &mut head);
            if last.is_none() {
                // All rows were looked at. The records of damaged rows are counted twice.
                head.ordered = head.ordered.min(head.retained);
            }
            *left = left.saturating_sub(looked).max(1);
            if last.is_some() {
                batch.put(keys::HEAD, head.encode());
                rows.commit(batch, Durability::Written)?;
            }
            Ok(last)
        })?;
        writer.head = head;
        writer.ordered_up_to = last;
        Ok(last.is_some())
    }
}
