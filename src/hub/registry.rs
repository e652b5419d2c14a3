use std::collections::BTreeMap;
use std::sync::Arc;

use crate::hub::budget::Budget;
use crate::hub::log::Log;
use crate::hub::stats::HubStats;
use crate::hub::sweeper::Sweeper;
use crate::hub::sync::{Map, RwLock};
use crate::model::Topic;

/// How many dropped topics are remembered one by one.
const MOST_TOMBSTONES: usize = 65_536;

/// The topics that are in memory, and what is left of those that are not.
#[derive(Debug)]
pub(super) struct Registry {
    epoch: u64,
    budget: Arc<Budget>,
    topics: RwLock<Topics>,
    pub(super) sweeper: Sweeper,
}

#[derive(Debug, Default)]
struct Topics {
    live: Map<Topic, Arc<Log>>,
    tombstones: Tombstones,
    /// What came of the topics that were dropped.
    past: HubStats,
    closed: bool,
}

/// The last sequence of each dropped topic, so that an old cursor is told of a gap. When there are too many, the oldest
/// ones become one mark: a cursor before it may have missed something of any topic that is not known.
#[derive(Debug, Default)]
struct Tombstones {
    last: Map<Topic, u64>,
    by_age: BTreeMap<u64, Topic>,
    forgotten: u64,
}

impl Registry {
    pub(super) fn new(epoch: u64, budget: Arc<Budget>) -> Self {
        Self { epoch, budget, topics: RwLock::default(), sweeper: Sweeper::new() }
    }

    /// The log of a topic, made if it is not there. `None` when the hub is closed.
    pub(super) fn log(&self, topic: &Topic) -> Option<Arc<Log>> {
        let topics = self.topics.read();
        if topics.closed {
            return None;
        }
        let known = topics.live.get(topic).cloned();
        drop(topics);
        known.or_else(|| self.make(topic))
    }

    /// The log of a topic that is in memory.
    pub(super) fn known(&self, topic: &Topic) -> Option<Arc<Log>> {
        self.topics.read().live.get(topic).cloned()
    }

    fn make(&self, topic: &Topic) -> Option<Arc<Log>> {
        let mut topics = self.topics.write();
        let topics = &mut *topics;
        if topics.closed {
            return None;
        }
        let tombstones = &mut topics.tombstones;
        let log = topics.live.entry(topic.clone()).or_insert_with(|| {
            let evicted = tombstones.take(topic);
            let log = Arc::new(Log::new(topic.clone(), self.epoch, evicted, Arc::clone(&self.budget)));
            self.sweeper.add(&log, 0);
            log
        });
        Some(Arc::clone(log))
    }

    /// Drops a log that has neither subscriptions nor history, if that is still so.
    pub(super) fn release(&self, log: &Arc<Log>) {
        let mut topics = self.topics.write();
        let Some(mut state) = log.live() else {
            return;
        };
        if !state.is_idle() {
            return;
        }
        topics.past.add(log, &state);
        let (last, left) = state.drop_log(log);
        drop(state);
        let gone = topics.live.remove(&log.topic);
        topics.tombstones.put(&log.topic, last);
        drop(topics);
        drop((gone, left));
    }

    /// Refuses new topics from now on, and returns those that there are.
    pub(super) fn close(&self) -> Vec<Arc<Log>> {
        self.topics.write().closed = true;
        self.logs()
    }

    /// The logs in memory.
    pub(super) fn logs(&self) -> Vec<Arc<Log>> {
        self.topics.read().live.values().cloned().collect()
    }

    /// What the topics hold, and what came of them and of those that were dropped: no topic is counted twice or left
    /// out, whatever is dropped meanwhile.
    pub(super) fn count(&self) -> HubStats {
        let topics = self.topics.read();
        let (live, tombstones) = (topics.live.len(), topics.tombstones.last.len());
        let mut stats = HubStats { topics: live, tombstones, ..topics.past };
        topics.live.values().for_each(|log| stats.add(log, &log.state()));
        stats
    }
}

impl Tombstones {
    /// The last sequence that the topic may have had.
    fn take(&mut self, topic: &Topic) -> u64 {
        match self.last.remove(topic) {
            Some(last) => {
                self.by_age.remove(&last);
                last
            }
            None => self.forgotten,
        }
    }

    fn put(&mut self, topic: &Topic, last: u64) {
        // A topic that never had an event, or whose events are under the common mark, needs no stone.
        if last <= self.forgotten {
            return;
        }
        self.last.insert(topic.clone(), last);
        self.by_age.insert(last, topic.clone());
        while self.last.len() > MOST_TOMBSTONES {
            let Some((last, topic)) = self.by_age.pop_first() else {
                return;
            };
            self.last.remove(&topic);
            self.forgotten = last;
        }
    }
}
