//! Rows of the states of topics that are removed.

use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::rows::{Batch, View};
use crate::disk::store::topics::TopicMeta;
use crate::disk::store::write::decode_newest;

/// Removes the state of a topic whose retention has none any more, and the events that only the state has.
#[cold]
pub(super) fn remove_state(view: &View, batch: &mut Batch, id: u32, meta: &mut TopicMeta) -> Result<(), DiskError> {
    for row in view.prefix(&keys::newest(id, "")) {
        let (key, value) = row?;
        if let Ok((sequence, _)) = decode_newest(&key, &value) {
            batch.remove(keys::removal(id, sequence));
            if sequence <= meta.trimmed {
                batch.remove(keys::event(id, sequence));
            }
        }
        batch.remove(&key);
    }
    meta.is_keyed = false;
    batch.put(keys::topic(id), meta.encode(id));
    Ok(())
}

/// Removes the row of the key whose newest event has a sequence.
#[cold]
pub(super) fn forget_newest(view: &View, batch: &mut Batch, id: u32, sequence: u64) -> Result<(), DiskError> {
    for row in view.prefix(&keys::newest(id, "")) {
        let (key, value) = row?;
        if key.len() > 5 && decode_newest(&key, &value).is_ok_and(|newest| newest.0 == sequence) {
            batch.remove(&key);
        }
    }
    Ok(())
}
