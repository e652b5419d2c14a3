use crate::disk::store::codec::Row;
use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::read::{meta, record};
use crate::disk::store::record::Record;
use crate::disk::store::store::Store;
use crate::disk::store::topics::id_of;
use crate::model::Topic;

impl Store {
    /// Reads the last `events` records of a topic that are not after a sequence, in ascending order.
    ///
    /// # Errors
    ///
    /// Returns [`DiskError::Damaged`] if a record cannot be read.
    pub(crate) fn last(&self, topic: &Topic, up_to: u64, events: usize) -> Result<Vec<Record>, DiskError> {
        self.with_view(|view| {
            let Some(id) = id_of(view, topic)? else { return Ok(Vec::new()) };
            let first = meta(view, id)?.trimmed + 1;
            if first > up_to {
                return Ok(Vec::new());
            }
            let mut records = Vec::new();
            for row in view.range(keys::event(id, first)..=keys::event(id, up_to)).rev().take(events) {
                let (key, value) = row?;
                let sequence = keys::sequence_of(&key).unwrap_or(0);
                records.push(record(topic, sequence, Row::decode(&key, &value)?));
            }
            records.reverse();
            Ok(records)
        })
    }
}
