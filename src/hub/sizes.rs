use std::collections::BTreeSet;

use crate::hub::sync::Leaf;
use crate::model::Pattern;

/// The topics, and the patterns that are followed, by how much their logs hold, so that the largest is found without a look at all of them.
///
/// A topic is filed anew when it begins a segment, so what it is filed with falls behind by no more than a segment. When
/// it shrinks it is not: who finds it to hold less than it is filed with files it anew, and looks again.
#[derive(Debug, Default)]
pub(super) struct Sizes(Leaf<BTreeSet<(u64, Pattern)>>);

impl Sizes {
    /// Files a topic under `new` bytes that was under `old`; 0: it is not filed. Only under its log's lock.
    pub(super) fn file(&self, name: &Pattern, old: u64, new: u64) {
        let (old, new) = ((old, name.clone()), (new, name.clone()));
        let mut topics = self.0.lock();
        topics.remove(&old);
        if new.0 > 0 {
            topics.insert(new);
        }
    }

    /// The topic that holds the most.
    pub(super) fn largest(&self) -> Option<Pattern> {
        self.0.lock().last().map(|(_, name)| name.clone())
    }
}
