use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::meta::Head;
use crate::disk::store::options::{Durability, StoreOptions};
use crate::disk::store::order;
use crate::disk::store::packed::entries;
use crate::disk::store::rows::{Batch, Rows, View};
use crate::disk::store::topics::TopicMeta;
use crate::disk::store::write::{encode_newest, row_bytes};

impl Rows {
    /// Removes the records after `acknowledged`, which a failed write has left. That write had rows of its own.
    #[cold]
    pub(super) fn roll_back(&self, mut head: Head, acknowledged: u64, options: &StoreOptions) -> Result<(), DiskError> {
        let view = self.view();
        let mut batch = self.batch();
        let mut topics = Vec::new();
        for row in view.range(keys::order(acknowledged + 1)..=keys::order(u64::MAX)) {
            let (key, value) = row?;
            let found = order::decode(&key, &value)?;
            head.bytes = head.bytes.saturating_sub(order::bytes(value.len()));
            head.ordered = head.ordered.saturating_sub(found.len() as u64);
            head.retained = head.retained.saturating_sub(found.len() as u64);
            topics.extend(found.into_iter().map(|entry| entry.topic));
            batch.remove_once(key);
        }
        topics.sort_unstable();
        topics.dedup();
        for id in topics {
            let meta = TopicMeta::load(&view, id)?;
            let is_kept = meta.as_ref().is_some_and(|meta| (options.retention)(&meta.topic).state.is_some());
            for row in view.range(keys::event(id, acknowledged + 1)..=keys::event(id, u64::MAX)) {
                let (key, value) = row?;
                head.bytes = head.bytes.saturating_sub(row_bytes(value.len()));
                for entry in entries(&key, &value)? {
                    let entry = entry?;
                    if let Some(key) = entry.body.key().filter(|_| is_kept) {
                        restore_newest(&view, &mut batch, id, key, acknowledged)?;
                        batch.remove(keys::removal(id, entry.sequence));
                    }
                    // An end before an event is not remembered.
                    if !entry.body.is_event() && view.get(keys::end(entry.sequence))?.is_some() {
                        head.ends = head.ends.saturating_sub(1);
                        batch.remove(keys::end(entry.sequence));
                        if let Some(meta) = &meta {
                            batch.put(keys::topic(id), TopicMeta { end: 0, ..meta.clone() }.encode(id));
                        }
                    }
                }
                batch.remove_once(key);
            }
        }
        head.sequence = acknowledged;
        batch.put(keys::HEAD, head.encode());
        self.commit(batch, Durability::Synced)
    }
}

/// Finds the newest event of a key up to a sequence, and writes its row.
fn restore_newest(view: &View, batch: &mut Batch, id: u32, key: &str, up_to: u64) -> Result<(), DiskError> {
    let (row, mut newest) = (keys::newest(id, key), None);
    'rows: for event in view.range(keys::event(id, 0)..=keys::event(id, up_to)).rev() {
        let (place, value) = event?;
        let found = entries(&place, &value)?.collect::<Result<Vec<_>, _>>()?;
        for entry in found.iter().rev().filter(|entry| entry.body.key() == Some(key)) {
            let is_removal = entry.body.is_removal();
            // Of successive removals the first one is in the state.
            if is_removal || newest.is_none() {
                newest = Some((entry.sequence, is_removal));
            }
            if !is_removal {
                break 'rows;
            }
        }
    }
    match newest {
        Some((sequence, is_removal)) => {
            if is_removal {
                batch.put(keys::removal(id, sequence), Vec::new());
            }
            batch.put(&row, encode_newest(&row, (sequence, is_removal)));
        }
        None => batch.remove(&row),
    }
    Ok(())
}
