use std::collections::HashMap;

use crate::engine::interest::Interest;
use crate::model::Topic;

/// Number of topics that are known.
const MAX: usize = 65_536;

/// Last sequences of topics.
#[derive(Debug, Default)]
pub(crate) struct KnownTopics {
    topics: HashMap<Topic, KnownTopic>,
    /// Sequence up to which records may not be in `topics`.
    forgotten: u64,
}

#[derive(Debug, Clone, Copy)]
struct KnownTopic {
    last: u64,
    /// Sequence after which the topic is followed, for this state of the interest.
    since: Option<u64>,
    changes: u64,
}

impl KnownTopics {
    /// Returns the sequence after which a topic is followed, see [`Interest::since_of`].
    pub(crate) fn since(&self, topic: &Topic, interest: &Interest) -> Option<Option<u64>> {
        match self.topics.get(topic) {
            Some(known) if known.changes == interest.changes() => Some(known.since),
            _ => interest.since_of(topic),
        }
    }

    /// Returns the sequence after which no record of a topic is known. `None` if it is not followed.
    pub(crate) fn last(&self, topic: &Topic, interest: &Interest) -> Option<u64> {
        let since = self.since(topic, interest).flatten()?;
        Some(since.max(self.topics.get(topic).map_or(self.forgotten, |known| known.last)))
    }

    /// Notes a record.
    pub(crate) fn put(&mut self, topic: &Topic, sequence: u64, interest: &Interest) {
        let (since, changes) = (self.since(topic, interest).flatten(), interest.changes());
        if let Some(known) = self.topics.get_mut(topic) {
            *known = KnownTopic { last: known.last.max(sequence), since, changes };
            return;
        }
        self.topics.insert(topic.clone(), KnownTopic { last: sequence, since, changes });
    }

    /// Forgets all topics if they are too many. All records up to a sequence are known.
    pub(crate) fn limit(&mut self, sequence: u64) {
        if self.topics.len() > MAX {
            self.topics.clear();
            self.forgotten = sequence;
        }
    }
}
