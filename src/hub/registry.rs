use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::contract::SubscribeError;
use crate::hub::budget::Budget;
use crate::hub::counts::{COUNTED, Counts};
use crate::hub::history::Left;
use crate::hub::holds::STRETCH;
use crate::hub::log::Log;
use crate::hub::patterns::{Patterns, below};
use crate::hub::retentions::Retentions;
use crate::hub::stats::HubStats;
use crate::hub::sync::RwLock;
use crate::hub::tombstones::Tombstones;
use crate::hub::topic_table::TopicTable;
use crate::model::{Pattern, Topic};

/// The topics that are in memory, what is left of those that are not, and the patterns that are followed.
#[derive(Debug)]
pub(super) struct Registry {
    retentions: Retentions,
    budget: Arc<Budget>,
    topics: RwLock<Topics>,
}

#[derive(Debug, Default)]
struct Topics {
    live: TopicTable<Named>,
    /// The same in the order of their names.
    names: BTreeMap<Named, ()>,
    tombstones: Tombstones,
    /// What came of the logs that were dropped.
    past: HubStats,
    counts: Counts,
    feeds: Patterns<Feed>,
    closed: bool,
}

/// A topic's log, found by the topic's name.
#[derive(Debug, Clone)]
struct Named(Arc<Log>);

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

/// The log of a pattern that is followed, see [`Log::feed`].
#[derive(Debug)]
struct Feed {
    log: Arc<Log>,
    /// Whether every topic in memory feeds it that matches. Those that are made later do so from their first event.
    is_attached: bool,
}

/// A topic that a pattern matches.
#[derive(Debug)]
pub(super) enum Visited {
    Live(Arc<Log>),
    /// Not in memory any more. Its last event had this sequence.
    Gone(Topic, u64),
}

/// A log that is out of the registry, to be dropped without a lock.
pub(super) struct Released {
    _topic: Option<Named>,
    _feed: Option<Feed>,
    _left: Option<Left>,
}

impl Registry {
    pub(super) fn new(retentions: Retentions, budget: Arc<Budget>) -> Self {
        let topics = Topics { tombstones: Tombstones::new(budget.limit), ..Topics::default() };
        Self { retentions, budget, topics: RwLock::new(topics) }
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
        drop(topics);
        known.map_or_else(|| self.make(topic, limit), Ok)
    }

    /// Makes the log of a topic, unless `limit` topics have one and no events.
    fn make(&self, topic: &Topic, limit: usize) -> Result<Arc<Log>, SubscribeError> {
        let mut topics = self.topics.write();
        let Topics { live, names, tombstones, feeds, closed, .. } = &mut *topics;
        if *closed {
            return Err(SubscribeError::Closed);
        }
        if let Some(Named(log)) = live.get(topic.as_str()) {
            return Ok(Arc::clone(log));
        }
        if live.len() as u64 >= self.budget.sizes.topics().saturating_add(limit as u64) {
            return Err(SubscribeError::TooManyTopics { limit });
        }
        // Under the lock that a feed is made under: a feed is known here, or it finds this log.
        let feeds = feeds.matching(topic).map(|feed| Arc::clone(&feed.log)).collect();
        let (retention, budget) = (self.retentions.of(topic), Arc::clone(&self.budget));
        let log = Log::new(topic.into(), retention, tombstones.take(topic), feeds, budget);
        live.insert(Named(Arc::clone(&log)));
        names.insert(Named(Arc::clone(&log)), ());
        Ok(log)
    }

    /// The log of a pattern, made if it is not there. `None` when the hub is closed.
    pub(super) fn feed(&self, pattern: &Pattern) -> Option<Arc<Log>> {
        let topics = self.topics.read();
        if topics.closed {
            return None;
        }
        let known = topics.feeds.get(pattern).map(|feed| Arc::clone(&feed.log));
        drop(topics);
        known.or_else(|| self.make_feed(pattern))
    }

    fn make_feed(&self, pattern: &Pattern) -> Option<Arc<Log>> {
        let mut topics = self.topics.write();
        if topics.closed {
            return None;
        }
        if let Some(feed) = topics.feeds.get(pattern) {
            return Some(Arc::clone(&feed.log));
        }
        let log = Log::feed(pattern.clone(), Arc::clone(&self.budget));
        topics.feeds.insert(pattern.clone(), Feed { log: Arc::clone(&log), is_attached: false });
        Some(log)
    }

    /// Has every topic that matches feed the log of a pattern: whatever is appended after this is in it. `again`: although
    /// they do already, for the log conflates from now on.
    pub(super) fn attach(&self, feed: &Arc<Log>, again: bool) {
        let is = |known: &Feed| Arc::ptr_eq(&known.log, feed);
        let is_attached =
            |topics: &Topics| topics.feeds.get(&feed.name).is_some_and(|known| is(known) && known.is_attached);
        if !again && is_attached(&self.topics.read()) {
            return;
        }
        self.visit(&feed.name, |visited| {
            if let Visited::Live(log) = visited {
                log.attach(feed);
            }
        });
        if let Some(known) = self.topics.write().feeds.get_mut(&feed.name).filter(|known| is(known)) {
            known.is_attached = true;
        }
    }

    /// Looks at every topic that a pattern with a wildcard matches, without a lock held, and at no other. Each that was
    /// there all the time is seen once, whether or not it was dropped or came back meanwhile. Returns up to which
    /// sequence there may have been others, which are forgotten.
    pub(super) fn visit(&self, pattern: &Pattern, mut visit: impl FnMut(Visited)) -> u64 {
        let (mut after, mut stretch) = (None, Vec::with_capacity(STRETCH));
        loop {
            let topics = self.topics.read();
            let live = below(&topics.names, pattern, after.as_ref()).take(STRETCH);
            stretch.extend(live.map(|(Named(log), ())| Visited::Live(Arc::clone(log))));
            let until = match stretch.last() {
                Some(Visited::Live(log)) if stretch.len() == STRETCH => log.name.as_topic().cloned(),
                _ => None,
            };
            // The dropped ones among the same names, under the same lock: a topic is either here or there.
            let gone = topics.tombstones.below(pattern, after.as_ref());
            let gone = gone.take_while(|(topic, _)| until.as_ref().is_none_or(|until| *topic < until));
            stretch.extend(gone.map(|(topic, last)| Visited::Gone(topic.clone(), last)));
            let forgotten = topics.tombstones.forgotten;
            drop(topics);
            stretch.drain(..).for_each(&mut visit);
            match until {
                Some(until) => after = Some(until),
                None => return forgotten,
            }
        }
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
        let feeds = topics.feeds.matching(topic).map(|feed| Arc::clone(&feed.log));
        topics.named(topic).into_iter().chain(feeds).map(|log| log.state().subscriptions as usize).sum()
    }
}

impl Topics {
    fn named(&self, topic: &Topic) -> Option<Arc<Log>> {
        self.live.get(topic.as_str()).map(|Named(log)| Arc::clone(log))
    }

    /// Drops a log, if it has neither subscriptions nor history.
    fn release(&mut self, log: &Arc<Log>) -> Option<Released> {
        let mut state = log.live().filter(|state| state.is_idle())?;
        self.past.add(log, &state);
        self.counts.add_dropped(log, &state);
        let (last, left) = state.drop_log(log);
        drop(state);
        let (topic, feed) = match log.name.as_topic() {
            Some(topic) => {
                self.tombstones.put(topic, last);
                self.names.remove(topic.as_str());
                (self.live.take(topic.as_str()), None)
            }
            None => (None, self.feeds.remove(&log.name)),
        };
        Some(Released { _topic: topic, _feed: feed, _left: left })
    }
}
