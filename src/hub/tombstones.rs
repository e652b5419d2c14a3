use std::collections::BTreeMap;

use crate::hub::patterns::below;
use crate::model::{Pattern, Topic};

/// How many dropped topics are remembered one by one.
const MOST: usize = 65_536;

/// The last sequence of each dropped topic, so that an old cursor is told of a gap. When there are too many, the oldest
/// ones become one mark: a cursor before it may have missed something of any topic that is not known.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    last: BTreeMap<Topic, u64>,
    by_age: BTreeMap<u64, Topic>,
    pub(super) forgotten: u64,
}

impl Tombstones {
    pub(super) fn len(&self) -> usize {
        self.last.len()
    }

    /// The last sequence that the topic may have had.
    pub(super) fn take(&mut self, topic: &Topic) -> u64 {
        match self.last.remove(topic) {
            Some(last) => {
                self.by_age.remove(&last);
                last
            }
            None => self.forgotten,
        }
    }

    pub(super) fn put(&mut self, topic: &Topic, last: u64) {
        // A topic that never had an event, or whose events are under the common mark, needs no stone.
        if last <= self.forgotten {
            return;
        }
        self.last.insert(topic.clone(), last);
        self.by_age.insert(last, topic.clone());
        while self.last.len() > MOST {
            let Some((last, topic)) = self.by_age.pop_first() else {
                return;
            };
            self.last.remove(&topic);
            self.forgotten = last;
        }
    }

    /// The remembered topics that a pattern matches, by name, behind `after`.
    pub(super) fn below<'a>(
        &'a self,
        pattern: &'a Pattern,
        after: Option<&'a Topic>,
    ) -> impl Iterator<Item = (&'a Topic, u64)> {
        below(&self.last, pattern, after).map(|(topic, &last)| (topic, last))
    }
}
