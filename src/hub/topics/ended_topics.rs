use std::collections::{BTreeMap, BTreeSet};

use crate::hub::log::end_mark::EndMark;
use crate::model::Topic;

/// Largest number of ends that are remembered.
const MOST: usize = 65_536;

/// Ends of topics, by which a topic stays finished after its events and its log are gone. They do not count in the byte
/// budget.
///
/// The log of a topic holds the end, too, if it is in memory. A log whose end is forgotten here keeps it until no
/// subscription is left that has not read it.
#[derive(Debug, Default)]
pub(crate) struct EndedTopics {
    by_topic: BTreeMap<Topic, RememberedEnd>,
    /// By the sequence of the end.
    by_age: BTreeMap<u64, Topic>,
    /// Times at which the ends are forgotten, with their sequences.
    due: BTreeSet<(u64, u64)>,
}

#[derive(Debug)]
struct RememberedEnd {
    mark: EndMark,
    /// Time at which it is forgotten.
    due: u64,
}

impl EndedTopics {
    pub(crate) fn len(&self) -> usize {
        self.by_topic.len()
    }

    /// Returns the end of a topic.
    pub(crate) fn get(&self, topic: &Topic) -> Option<&EndMark> {
        self.by_topic.get(topic).map(|end| &end.mark)
    }

    pub(crate) fn put(&mut self, mark: EndMark, due: u64) {
        self.by_age.insert(mark.sequence, mark.topic.clone());
        self.due.insert((due, mark.sequence));
        self.by_topic.insert(mark.topic.clone(), RememberedEnd { mark, due });
    }

    pub(crate) fn remove(&mut self, topic: &Topic) {
        if let Some(RememberedEnd { mark, due }) = self.by_topic.remove(topic) {
            self.by_age.remove(&mark.sequence);
            self.due.remove(&(due, mark.sequence));
        }
    }

    /// Returns the topic with the oldest end, if there are too many.
    pub(crate) fn excess(&self) -> Option<&Topic> {
        let oldest = self.by_age.first_key_value().map(|(_, topic)| topic);
        oldest.filter(|_| self.len() > MOST)
    }

    /// Returns whether the time has come to forget the end of a topic.
    pub(crate) fn is_due(&self, topic: &Topic, now: u64) -> bool {
        self.by_topic.get(topic).is_some_and(|end| end.due <= now)
    }

    /// Returns the topic whose end is to be forgotten first, if its time has come.
    pub(crate) fn first_due(&self, now: u64) -> Option<&Topic> {
        let (due, sequence) = self.due.first()?;
        if *due > now { None } else { self.by_age.get(sequence) }
    }
}
