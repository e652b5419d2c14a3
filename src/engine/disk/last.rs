use crate::engine::disk::codec::Row;
use crate::engine::disk::error::StoreError;
use crate::engine::disk::keys;
use crate::engine::disk::read::{meta, record};
use crate::engine::disk::record::Record;
use crate::engine::disk::store::Store;
use crate::engine::disk::topics::id_of;
use crate::model::Topic;

impl Store {
    /// Reads the last `events` records of a topic that are not after a sequence, in ascending order.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Damaged`] if a record cannot be read.
    pub(crate) fn last(&self, topic: &Topic, up_to: u64, events: usize) -> Result<Vec<Record>, StoreError> {
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
