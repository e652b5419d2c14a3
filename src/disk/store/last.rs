use crate::disk::store::error::DiskError;
use crate::disk::store::keys;
use crate::disk::store::read::meta;
use crate::disk::store::store::Store;
use crate::disk::store::topics::id_of;
use crate::model::Topic;

impl Store {
    /// Returns the sequence after which a topic has `count` records up to a sequence, or fewer if it does not have as many.
    pub(crate) fn before_last(&self, topic: &Topic, up_to: u64, count: usize) -> Result<u64, DiskError> {
        self.with_view(|view| {
            let Some(id) = id_of(view, topic)? else { return Ok(up_to) };
            let trimmed = meta(view, id)?.trimmed;
            if trimmed >= up_to || count == 0 {
                return Ok(up_to);
            }
            let mut first = up_to + 1;
            for row in view.range(keys::event(id, trimmed + 1)..=keys::event(id, up_to)).rev().take(count) {
                first = keys::sequence_of(&row?.0).unwrap_or(first);
            }
            Ok(first - 1)
        })
    }
}
