use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::packed::{RowEntry, entries};
use crate::disk::store::read::meta;
use crate::disk::store::store::Store;
use crate::disk::store::topics::id_of;
use crate::model::Topic;

impl Store {
    /// Returns the sequence after which a topic has `count` events up to a sequence that have not expired at a time in milliseconds
    /// since 1970, or fewer if it does not have as many.
    pub(crate) fn before_last(&self, topic: &Topic, up_to: u64, count: usize, now: u64) -> Result<u64, DiskError> {
        self.with_view(|view| {
            let Some(id) = id_of(view, topic)? else { return Ok(up_to) };
            let trimmed = meta(view, id)?.trimmed;
            if trimmed >= up_to || count == 0 {
                return Ok(up_to);
            }
            // A row has the sequence of its last record, so the first one may be after `up_to` in part.
            let after = view.range(keys::event(id, up_to + 1)..=keys::event(id, u64::MAX)).next();
            let before = view.range(keys::event(id, trimmed + 1)..=keys::event(id, up_to)).rev();
            let (mut first, mut left) = (up_to + 1, count);
            for row in after.into_iter().chain(before) {
                let (key, value) = row?;
                let found = entries(&key, &value)?.collect::<Result<Vec<_>, _>>()?;
                let is_counted = |entry: &&RowEntry<'_>| {
                    let is_between = entry.sequence > trimmed && entry.sequence <= up_to;
                    is_between && entry.body.is_event() && !entry.has_expired(now)
                };
                for entry in found.iter().rev().filter(is_counted).take(left) {
                    (first, left) = (entry.sequence, left - 1);
                }
                if left == 0 {
                    break;
                }
            }
            Ok(first - 1)
        })
    }
}
