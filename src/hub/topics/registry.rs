use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::contract::{PublishError, SubscribeError};
use crate::hub::budget::budget::LogPool;
use crate::hub::log::eviction::DroppedSegments;
use crate::hub::log::log::Log;
use crate::hub::sync::{Count, RwLock};
use crate::hub::topics::counts::{COUNTED, Counts};
use crate::hub::topics::ended_topics::EndedTopics;
use crate::hub::topics::patterns::Patterns;
use crate::hub::topics::retentions::Retentions;
use crate::hub::topics::stats::HubStats;
use crate::hub::topics::tombstones::Tombstones;
use crate::hub::topics::topic_table::TopicTable;
use crate::model::{Pattern, Retention, Topic};

/// Topics in memory, entries of dropped topics, and the patterns that are followed.
#[derive(Debug)]
pub(crate) struct Registry {
    retentions: Retentions,
    pub(crate) pool: Arc<LogPool<Log>>,
    pub(crate) topics: RwLock<Topics>,
    /// Changes under the lock of `topics`.
    generation: Count,
}

#[derive(Debug, Default)]
pub(crate) struct Topics {
    pub(crate) live: TopicTable<Named>,
    /// The live topics in the order of their names.
    pub(crate) names: BTreeMap<Named, ()>,
    pub(crate) tombstones: Tombstones,
    pub(crate) ended: EndedTopics,
    /// Retentions of single topics, which precede those of the hub.
    pub(crate) own_retentions: BTreeMap<Topic, Arc<Retention>>,
    /// Statistics of the logs that were dropped.
    past: HubStats,
    counts: Counts,
    /// Logs of the patterns that are followed, see [`Log::of_pattern`].
    pattern_logs: Patterns<Arc<Log>>,
    closed: bool,
}

/// Log of a topic, found by the topic's name.
#[derive(Debug, Clone)]
pub(crate) struct Named(pub(crate) Arc<Log>);

impl Borrow<str> for Named {
    fn borrow(&self) -> &str {
        self.0.name.as_str()
    }
}

// Hashed and compared as the name is, which stands for the log in a search.
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

/// Reason for which there is no log.
enum NoLog {
    Closed,
    TooManyTopics { limit: usize },
    Finished,
}

/// Log that was removed from the registry, to be dropped without a lock.
pub(crate) struct Released {
    _topic: Option<Named>,
    _pattern_log: Option<Arc<Log>>,
    _segments: Option<DroppedSegments>,
}

impl Registry {
    pub(crate) fn new(retentions: Retentions, pool: Arc<LogPool<Log>>) -> Self {
        let topics = Topics { tombstones: Tombstones::new(pool.budget.limit), ..Topics::default() };
        Self { retentions, pool, topics: RwLock::new(topics), generation: Count::new(0) }
    }

    /// Returns the number that changes when a pattern is followed for the first time, or begins to conflate. A topic's
    /// [pattern logs](crate::hub::log::log::LogState::pattern_logs) are to be looked up again then.
    ///
    /// The count is relaxed. A thread that changes it takes the sequencer afterwards
    /// ([`Shared::settled`](crate::hub::shared::Shared::settled)), and a publisher reads it under the sequencer, which
    /// orders the two.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load()
    }

    /// Makes every topic look up its pattern logs before its next event. Called when a pattern's log begins to
    /// conflate.
    pub(crate) fn renew_pattern_logs(&self) {
        let _topics = self.topics.write();
        self.generation.add(1);
    }

    /// Returns the log of a topic for a publisher, and creates it if there is none. Refuses if the topic has ended or the
    /// hub is closed.
    pub(crate) fn log(&self, topic: &Topic, now: u64) -> Result<Arc<Log>, PublishError> {
        match self.log_or_create(topic, now, None) {
            Ok(log) if !log.refuses.is_on() || !self.has_ended(topic, now) => Ok(log),
            Ok(_) | Err(NoLog::Finished) => Err(PublishError::Finished(topic.clone())),
            Err(NoLog::Closed | NoLog::TooManyTopics { .. }) => Err(PublishError::Closed),
        }
    }

    /// Returns the log of a topic for a subscription, and creates it if there is none and the limit of topics without
    /// events allows it.
    pub(crate) fn log_for_subscription(&self, topic: &Topic, now: u64) -> Result<Arc<Log>, SubscribeError> {
        match self.log_or_create(topic, now, Some(self.pool.max_topics)) {
            Ok(log) => {
                if log.refuses.is_on() {
                    self.has_ended(topic, now);
                }
                Ok(log)
            }
            Err(NoLog::TooManyTopics { limit }) => Err(SubscribeError::TooManyTopics { limit }),
            Err(NoLog::Closed | NoLog::Finished) => Err(SubscribeError::Closed),
        }
    }

    /// Returns the log of a topic, and creates it if there is none. `limit` is set for a subscription: it may also follow
    /// a topic that has ended, but not if this number of topics have a log and no events.
    fn log_or_create(&self, topic: &Topic, now: u64, limit: Option<usize>) -> Result<Arc<Log>, NoLog> {
        let topics = self.topics.read();
        if topics.closed {
            return Err(NoLog::Closed);
        }
        let known = topics.named(topic);
        let generation = self.generation();
        let outdated = known.as_ref().filter(|log| log.generation.load() != generation);
        let replaced = outdated.map(|log| log.set_pattern_logs(topics.pattern_logs_of(topic), generation));
        drop(topics);
        if let Some(log) = outdated {
            drop(replaced);
            log.conflate_as_patterns();
        }
        known.map_or_else(|| self.create_log(topic, now, limit), Ok)
    }

    fn create_log(&self, topic: &Topic, now: u64, limit: Option<usize>) -> Result<Arc<Log>, NoLog> {
        let mut topics = self.topics.write();
        if topics.closed {
            return Err(NoLog::Closed);
        }
        if let Some(log) = topics.named(topic) {
            return Ok(log);
        }
        topics.forget_if_due(topic, now);
        let end = topics.ended.get(topic).cloned();
        match limit {
            None if end.is_some() => return Err(NoLog::Finished),
            Some(limit) if topics.live.len() as u64 >= self.topics_with_events().saturating_add(limit as u64) => {
                return Err(NoLog::TooManyTopics { limit });
            }
            _ => {}
        }
        let (pattern_logs, last) = (topics.pattern_logs_of(topic), topics.tombstones.last(topic));
        // No event of the topic is later than its end, also if the tombstone is forgotten.
        let last = end.as_ref().map_or(last, |end| last.min(end.sequence - 1));
        let (retention, pool) = (self.retention_of(&topics, topic), Arc::clone(&self.pool));
        let log = Log::new(topic.into(), retention, last, end, pattern_logs, self.generation(), pool);
        topics.live.insert(Named(Arc::clone(&log)));
        topics.names.insert(Named(Arc::clone(&log)), ());
        Ok(log)
    }

    /// Returns an upper bound of the number of topics with history or a state: those with both count twice.
    fn topics_with_events(&self) -> u64 {
        self.pool.by_size.topics().saturating_add(self.pool.budget.topics_with_state.load())
    }

    /// Returns the retention of a topic.
    pub(crate) fn retention_of(&self, topics: &Topics, topic: &Topic) -> Arc<Retention> {
        topics.own_retentions.get(topic).map_or_else(|| self.retentions.of(topic), Arc::clone)
    }

    /// Returns whether a topic keeps the newest event of each key.
    pub(crate) fn is_keyed(&self, topic: &Topic) -> bool {
        self.retention_of(&self.topics.read(), topic).state.is_some()
    }

    /// Returns whether a topic that the pattern matches may keep the newest event of each key. No topic does so by its own
    /// retention, see [`retain_topic`](Self::retain_topic).
    pub(crate) fn may_be_keyed(&self, pattern: &Pattern) -> bool {
        match pattern.as_topic() {
            Some(topic) => self.is_keyed(topic),
            None => self.retentions.may_be_keyed(pattern),
        }
    }

    /// Returns the log of a pattern, and creates it if there is none. Returns `None` if the hub is closed.
    pub(crate) fn pattern_log(&self, pattern: &Pattern) -> Option<Arc<Log>> {
        let topics = self.topics.read();
        if topics.closed {
            return None;
        }
        let known = topics.pattern_logs.get(pattern).cloned();
        drop(topics);
        known.or_else(|| self.make_pattern_log(pattern))
    }

    fn make_pattern_log(&self, pattern: &Pattern) -> Option<Arc<Log>> {
        let mut topics = self.topics.write();
        if topics.closed {
            return None;
        }
        if let Some(pattern_log) = topics.pattern_logs.get(pattern) {
            return Some(Arc::clone(pattern_log));
        }
        let log = Log::of_pattern(pattern.clone(), Arc::clone(&self.pool));
        topics.pattern_logs.insert(pattern.clone(), Arc::clone(&log));
        self.generation.add(1);
        Some(log)
    }

    /// Drops a log if it has neither subscriptions nor history.
    pub(crate) fn release(&self, log: &Arc<Log>) {
        drop(self.release_all(std::iter::once(log)));
    }

    /// Drops those of these logs that have neither subscriptions nor history, under one hold of the lock. Returns them;
    /// the caller drops them without a lock.
    pub(crate) fn release_all<'a>(&self, logs: impl Iterator<Item = &'a Arc<Log>>) -> Vec<Released> {
        let mut topics = self.topics.write();
        logs.filter_map(|log| topics.release(log)).collect::<Vec<_>>()
    }

    /// Refuses new topics and patterns from now on.
    pub(crate) fn close(&self) {
        self.topics.write().closed = true;
    }

    /// Returns the statistics of all logs, dropped ones included. They are counted in steps, see [`Counts`].
    pub(crate) fn count(&self) -> HubStats {
        let mut topics = self.topics.read();
        let (number, mut stats) = (topics.counts.begin(), topics.past);
        let (mut next, mut logs) = (0, Vec::new());
        while let Some(at) = self.pool.by_size.walk(next, COUNTED, &mut logs, usize::MAX) {
            // Counted under the lock, so that none of them is dropped before it is counted.
            logs.iter().for_each(|log| stats.add(log, &log.state()));
            topics.counts.advance(number, at);
            next = at;
            drop(topics);
            logs.clear();
            topics = self.topics.read();
        }
        logs.iter().for_each(|log| stats.add(log, &log.state()));
        stats.add_all(&topics.counts.end(number));
        let stats = HubStats {
            topics: topics.live.len(),
            tombstones: topics.tombstones.len(),
            finished_topics: topics.ended.len(),
            patterns: topics.pattern_logs.len(),
            ..stats
        };
        drop(topics);
        stats
    }

    /// Returns whether history holds an event of this topic.
    pub(crate) fn has_history(&self, topic: &Topic) -> bool {
        let log = self.topics.read().named(topic);
        log.is_some_and(|log| {
            let state = log.state();
            state.first != state.next
        })
    }

    /// Returns the number of subscriptions that an event of this topic would reach.
    pub(crate) fn subscribers(&self, topic: &Topic) -> usize {
        let topics = self.topics.read();
        let pattern_logs = topics.pattern_logs_of(topic);
        topics.named(topic).into_iter().chain(pattern_logs).map(|log| log.state().subscriptions as usize).sum()
    }
}

impl Topics {
    /// Returns the logs of the patterns that match a topic.
    fn pattern_logs_of(&self, topic: &Topic) -> Box<[Arc<Log>]> {
        self.pattern_logs.matching(topic).cloned().collect()
    }

    pub(crate) fn named(&self, topic: &Topic) -> Option<Arc<Log>> {
        self.live.get(topic.as_str()).map(|Named(log)| Arc::clone(log))
    }

    /// Returns whether a topic has ended.
    pub(crate) fn has_ended(&self, topic: &Topic) -> bool {
        match self.named(topic) {
            Some(log) => log.state().end.is_some(),
            None => self.ended.get(topic).is_some(),
        }
    }

    /// Forgets the end of a topic if the time for that has come.
    pub(crate) fn forget_if_due(&mut self, topic: &Topic, now: u64) {
        if self.ended.is_due(topic, now) {
            self.forget_end(topic);
        }
    }

    /// Forgets the end of a topic.
    pub(crate) fn forget_end(&mut self, topic: &Topic) {
        self.ended.remove(topic);
        if let Some(log) = self.named(topic) {
            log.forget_end();
        }
    }

    /// Drops a log if it has neither subscriptions nor history.
    fn release(&mut self, log: &Arc<Log>) -> Option<Released> {
        let mut state = log.live().filter(|state| state.is_idle())?;
        self.past.add(log, &state);
        self.counts.add_dropped(log, &state);
        let (last, segments) = state.drop_log(log);
        drop(state);
        let (topic, pattern_log) = match log.name.as_topic() {
            Some(topic) => {
                self.tombstones.put(topic, last);
                self.names.remove(topic.as_str());
                (self.live.take(topic.as_str()), None)
            }
            None => (None, self.pattern_logs.remove(&log.name)),
        };
        Some(Released { _topic: topic, _pattern_log: pattern_log, _segments: segments })
    }
}
