use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::hub::patterns::below;
use crate::model::{Pattern, Topic};

/// Bounds of the number of dropped topics that are remembered one by one.
const MOST: RangeInclusive<usize> = 1_024..=65_536;
/// One is remembered for so many bytes of the hub's budget, in which they do not count: they take a tenth of it at most.
const BYTES_EACH: usize = 4_096;

/// The last sequence of each dropped topic, so that an old cursor is told of a gap. When there are too many, the oldest
/// ones become one mark: a cursor before it may have missed something of any topic that is not known.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    last: BTreeMap<Topic, u64>,
    by_age: BTreeMap<u64, Topic>,
    pub(super) forgotten: u64,
    most: usize,
}

impl Tombstones {
    /// Returns the tombstones of a hub with this byte budget.
    pub(super) fn new(limit: usize) -> Self {
        Self { most: (limit / BYTES_EACH).clamp(*MOST.start(), *MOST.end()), ..Self::default() }
    }

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
        while self.last.len() > self.most {
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
