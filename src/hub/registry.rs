use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::contract::SubscribeError;
use crate::hub::budget::Budget;
use crate::hub::counts::{COUNTED, Counts};
use crate::hub::history::DroppedSegments;
use crate::hub::log::Log;
use crate::hub::patterns::Patterns;
use crate::hub::retentions::Retentions;
use crate::hub::stats::HubStats;
use crate::hub::sync::{Count, RwLock};
use crate::hub::tombstones::Tombstones;
use crate::hub::topic_table::TopicTable;
use crate::model::{Pattern, Topic};

/// The topics that are in memory, what is left of those that are not, and the patterns that are followed.
#[derive(Debug)]
pub(super) struct Registry {
    retentions: Retentions,
    budget: Arc<Budget>,
    pub(super) topics: RwLock<Topics>,
    /// Changes under the lock of `topics`.
    generation: Count,
}

#[derive(Debug, Default)]
pub(super) struct Topics {
    pub(super) live: TopicTable<Named>,
    /// The topics of `live`, in the order of their names.
    pub(super) names: BTreeMap<Named, ()>,
    pub(super) tombstones: Tombstones,
    /// Statistics of the logs that were dropped.
    past: HubStats,
    counts: Counts,
    /// The logs of the patterns that are followed, see [`Log::feed`].
    feeds: Patterns<Arc<Log>>,
    closed: bool,
}

/// A topic's log, found by the topic's name.
#[derive(Debug, Clone)]
pub(super) struct Named(pub(super) Arc<Log>);

impl Borrow<str> for Named {
    fn borrow(&self) -> &str {
        self.0.name.as_str()
    }
}

// As the name does, so that it may stand for the log.
impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrow::<str>::borrow(self).hash(state);
    }
}

impl Ord for Named {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.name.as_str().cmp(other.borrow())
    }
}

impl PartialOrd for Named {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Named {}

/// A log that is out of the registry, to be dropped without a lock.
pub(super) struct Released {
    _topic: Option<Named>,
    _feed: Option<Arc<Log>>,
    _segments: Option<DroppedSegments>,
}

impl Registry {
    pub(super) fn new(retentions: Retentions, budget: Arc<Budget>) -> Self {
        let topics = Topics { tombstones: Tombstones::new(budget.limit), ..Topics::default() };
        Self { retentions, budget, topics: RwLock::new(topics), generation: Count::new(0) }
    }

    /// Returns the number that changes when a pattern is followed for the first time, or begins to conflate. A topic's
    /// [feeds](crate::hub::log::State::feeds) are to be looked up again then.
    ///
    /// The count is relaxed. A thread that changes it takes the sequencer afterwards ([`Shared::settled`](crate::hub::shared::Shared::settled)),
    /// and a publisher reads it under the sequencer, which orders the two.
    #[inline]
    pub(super) fn generation(&self) -> u64 {
        self.generation.load()
    }

    /// Makes every topic look up its feeds before its next event. Called when a pattern's log begins to conflate.
    pub(super) fn renew_feeds(&self) {
        let _topics = self.topics.write();
        self.generation.add(1);
    }

    /// Returns the log of a topic for a publisher, made if it is not there. `None` when the hub is closed.
    pub(super) fn log(&self, topic: &Topic) -> Option<Arc<Log>> {
        self.log_or(topic, usize::MAX).ok()
    }

    /// Returns the log of a topic for a subscription, made if it is not there and there are not too many without events.
    pub(super) fn log_for_subscription(&self, topic: &Topic) -> Result<Arc<Log>, SubscribeError> {
        self.log_or(topic, self.budget.max_topics)
    }

    fn log_or(&self, topic: &Topic, limit: usize) -> Result<Arc<Log>, SubscribeError> {
        let topics = self.topics.read();
        if topics.closed {
            return Err(SubscribeError::Closed);
        }
        let known = topics.named(topic);
        let generation = self.generation();
        let outdated = known.as_ref().filter(|log| log.generation.load() != generation);
        let replaced = outdated.map(|log| log.set_feeds(topics.feeds_of(topic), generation));
        drop(topics);
        if let Some(log) = outdated {
            drop(replaced);
            log.conflate_as_feeds();
        }
        known.map_or_else(|| self.make(topic, limit), Ok)
    }

    /// Makes the log of a topic, unless `limit` topics have one and no events.
    fn make(&self, topic: &Topic, limit: usize) -> Result<Arc<Log>, SubscribeError> {
        let mut topics = self.topics.write();
        if topics.closed {
            return Err(SubscribeError::Closed);
        }
        if let Some(log) = topics.named(topic) {
            return Ok(log);
        }
        if topics.live.len() as u64 >= self.budget.sizes.topics().saturating_add(limit as u64) {
            return Err(SubscribeError::TooManyTopics { limit });
        }
        let (feeds, last) = (topics.feeds_of(topic), topics.tombstones.last(topic));
        let (retention, budget) = (self.retentions.of(topic), Arc::clone(&self.budget));
        let log = Log::new(topic.into(), retention, last, feeds, self.generation(), budget);
        topics.live.insert(Named(Arc::clone(&log)));
        topics.names.insert(Named(Arc::clone(&log)), ());
        Ok(log)
    }

    /// Returns the log of a pattern, made if it is not there. `None` when the hub is closed.
    pub(super) fn feed(&self, pattern: &Pattern) -> Option<Arc<Log>> {
        let topics = self.topics.read();
        if topics.closed {
            return None;
        }
        let known = topics.feeds.get(pattern).cloned();
        drop(topics);
        known.or_else(|| self.make_feed(pattern))
    }

    fn make_feed(&self, pattern: &Pattern) -> Option<Arc<Log>> {
        let mut topics = self.topics.write();
        if topics.closed {
            return None;
        }
        if let Some(feed) = topics.feeds.get(pattern) {
            return Some(Arc::clone(feed));
        }
        let log = Log::feed(pattern.clone(), Arc::clone(&self.budget));
        topics.feeds.insert(pattern.clone(), Arc::clone(&log));
        self.generation.add(1);
        Some(log)
    }

    /// Drops a log that has neither subscriptions nor history, if that is still so.
    pub(super) fn release(&self, log: &Arc<Log>) {
        drop(self.release_all(std::iter::once(log)));
    }

    /// Drops those of these logs that have neither subscriptions nor history, under one hold of the lock. Returns what is to
    /// be dropped without it.
    pub(super) fn release_all<'a>(&self, logs: impl Iterator<Item = &'a Arc<Log>>) -> Vec<Released> {
        let mut topics = self.topics.write();
        logs.filter_map(|log| topics.release(log)).collect::<Vec<_>>()
    }

    /// Refuses new topics and patterns from now on.
    pub(super) fn close(&self) {
        self.topics.write().closed = true;
    }

    /// Returns what the logs hold, and what came of them and of those that were dropped. They are counted in steps, see
    /// [`Counts`].
    pub(super) fn count(&self) -> HubStats {
        let mut topics = self.topics.read();
        let (number, mut stats) = (topics.counts.begin(), topics.past);
        let (mut next, mut logs) = (0, Vec::new());
        while let Some(at) = self.budget.sizes.walk(next, COUNTED, &mut logs, usize::MAX) {
            // Under the lock: none of them is dropped before it is counted.
            logs.iter().for_each(|log| stats.add(log, &log.state()));
            topics.counts.advance(number, at);
            next = at;
            drop(topics);
            logs.clear();
            topics = self.topics.read();
        }
        logs.iter().for_each(|log| stats.add(log, &log.state()));
        stats.add_all(&topics.counts.end(number));
        let (live, tombstones, patterns) = (topics.live.len(), topics.tombstones.len(), topics.feeds.len());
        drop(topics);
        HubStats { topics: live, tombstones, patterns, ..stats }
    }

    /// Returns whether history holds an event of this topic.
    pub(super) fn has_history(&self, topic: &Topic) -> bool {
        let log = self.topics.read().named(topic);
        log.is_some_and(|log| {
            let state = log.state();
            state.first != state.next
        })
    }

    /// How many subscriptions would be told of an event of this topic.
    pub(super) fn subscribers(&self, topic: &Topic) -> usize {
        let topics = self.topics.read();
        let feeds = topics.feeds_of(topic);
        topics.named(topic).into_iter().chain(feeds).map(|log| log.state().subscriptions as usize).sum()
    }
}

impl Topics {
    /// Returns the logs of the patterns that match a topic.
    fn feeds_of(&self, topic: &Topic) -> Box<[Arc<Log>]> {
        self.feeds.matching(topic).cloned().collect()
    }

    fn named(&self, topic: &Topic) -> Option<Arc<Log>> {
        self.live.get(topic.as_str()).map(|Named(log)| Arc::clone(log))
    }

    /// Drops a log, if it has neither subscriptions nor history.
    fn release(&mut self, log: &Arc<Log>) -> Option<Released> {
        let mut state = log.live().filter(|state| state.is_idle())?;
        self.past.add(log, &state);
        self.counts.add_dropped(log, &state);
        let (last, segments) = state.drop_log(log);
        drop(state);
        let (topic, feed) = match log.name.as_topic() {
            Some(topic) => {
                self.tombstones.put(topic, last);
                self.names.remove(topic.as_str());
                (self.live.take(topic.as_str()), None)
            }
            None => (None, self.feeds.remove(&log.name)),
        };
        Some(Released { _topic: topic, _feed: feed, _segments: segments })
    }
}
