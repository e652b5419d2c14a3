use std::collections::BTreeMap;
use std::ops::{Bound, RangeInclusive};

use crate::hub::topics::patterns::below;
use crate::model::{Pattern, Topic};

/// Bounds of the number of dropped topics that are remembered one by one.
const MOST: RangeInclusive<usize> = 1_024..=65_536;
/// Bytes of the hub's budget for which one topic is remembered. Tombstones do not count in the budget, and take at most
/// a tenth of it.
const BYTES_EACH: usize = 4_096;

/// Last sequence of each topic that was dropped, by which a resume at an older cursor finds that it missed events. An
/// entry stays when its topic is created again. When there are too many, the oldest ones are replaced by one common
/// sequence: a resume before it may have missed events of any topic that is not known.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    last: BTreeMap<Topic, u64>,
    by_age: BTreeMap<u64, Topic>,
    pub(crate) forgotten: u64,
    most: usize,
}

impl Tombstones {
    /// Returns the tombstones of a hub with this byte budget.
    pub(crate) fn new(limit: usize) -> Self {
        Self { most: (limit / BYTES_EACH).clamp(*MOST.start(), *MOST.end()), ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.last.len()
    }

    /// Returns the last sequence that the topic may have had when it was dropped.
    pub(crate) fn last(&self, topic: &Topic) -> u64 {
        self.last.get(topic).copied().unwrap_or(self.forgotten)
    }

    pub(crate) fn put(&mut self, topic: &Topic, last: u64) {
        // No entry is needed for a topic that never had an event, or whose events are before the common sequence.
        if last <= self.forgotten {
            return;
        }
        if let Some(earlier) = self.last.insert(topic.clone(), last) {
            self.by_age.remove(&earlier);
        }
        self.by_age.insert(last, topic.clone());
        while self.last.len() > self.most {
            let Some((last, topic)) = self.by_age.pop_first() else {
                return;
            };
            self.last.remove(&topic);
            self.forgotten = last;
        }
    }

    /// Returns the remembered topics by name, see [`below`].
    pub(crate) fn below<'a>(
        &'a self,
        pattern: &'a Pattern,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Topic, u64, bool)> {
        below(&self.last, pattern, after).map(|(topic, &last, matches)| (topic, last, matches))
    }

    /// Returns the remembered topics whose last sequence is after `sequence`, the earliest first.
    pub(crate) fn after(&self, sequence: u64) -> impl Iterator<Item = (u64, &Topic)> {
        self.by_age.range((Bound::Excluded(sequence), Bound::Unbounded)).map(|(&last, topic)| (last, topic))
    }
}
