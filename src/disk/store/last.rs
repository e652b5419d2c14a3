use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::packed::entries;
use crate::disk::store::read::meta;
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
            // A row has the sequence of its last record, so the first one may be after `up_to` in part.
            let after = view.range(keys::event(id, up_to)..=keys::event(id, u64::MAX)).next();
            let after = after.transpose()?;
            let before = view.range(keys::event(id, first)..=keys::event(id, up_to)).rev();
            let is_other = |key: &[u8]| keys::sequence_of(key) != Some(up_to);
            for row in after.filter(|(key, _)| is_other(key)).map(Ok).into_iter().chain(before) {
                let (key, value) = row?;
                let found = entries(&key, &value)?.collect::<Result<Vec<_>, _>>()?;
                let found = found.iter().rev().filter(|entry| (first..=up_to).contains(&entry.sequence));
                records.extend(found.take(events - records.len()).map(|entry| entry.record(topic)));
                if records.len() == events {
                    break;
                }
            }
            records.reverse();
            Ok(records)
        })
    }
}
