use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::meta::Head;
use crate::disk::store::options::{Durability, StoreOptions};
use crate::disk::store::order;
use crate::disk::store::packed::entries;
use crate::disk::store::rows::{Batch, Rows, View};
use crate::disk::store::topics::TopicMeta;
use crate::disk::store::write::{decode_newest_and_before, encode_newest, row_bytes};

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
                        batch.remove(keys::removal(id, entry.sequence));
                        restore_newest(&view, &mut batch, id, key, acknowledged)?;
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

/// Writes the row of a key as it was before the failed write.
fn restore_newest(view: &View, batch: &mut Batch, id: u32, key: &str, acknowledged: u64) -> Result<(), DiskError> {
    let row = keys::newest(id, key);
    let Some(value) = view.get(&row)? else { return Ok(()) };
    let (newest, before) = decode_newest_and_before(&row, &value)?;
    if newest.0 <= acknowledged {
        // The failed write removed a key that has no event.
        return Ok(());
    }
    let Some((sequence, is_removal)) = before else {
        batch.remove(&row);
        return Ok(());
    };
    if is_removal {
        batch.put(keys::removal(id, sequence), Vec::new());
    }
    batch.put(&row, encode_newest(&row, (sequence, is_removal), None));
    Ok(())
}
