use std::sync::Arc;
use std::task::Waker;

use crate::contract::Entry;
use crate::hub::budget::footprint;
use crate::hub::budget::logs_by_size::FileAt;
use crate::hub::log::eviction::EVICTED;
use crate::hub::log::log::{Follower, Log, LogState};
use crate::hub::log::segment::{Evicted, Segment};
use crate::hub::log::segment_sizing::SegmentSizing;
use crate::model::Topic;

/// Number of the hub's events after which an event has its topic filed anew, as one that is in use.
const FILED_EVERY: u64 = 256;

/// What an append leaves to be done when the locks are released.
#[derive(Debug, Default)]
pub(crate) struct Appended {
    pub(crate) wakers: Vec<Option<Waker>>,
    /// The log's waiters are to be queued for the notifier.
    pub(crate) queues: bool,
    pub(crate) followers: Vec<Option<Follower>>,
    /// The wakers of those whose inboxes are marked, and the notifier's.
    pub(crate) marked: Vec<Option<Waker>>,
    pub(crate) subscriptions: u32,
    pub(crate) idle: bool,
    /// Dropped late: the events in it are the user's.
    pub(crate) evicted: Vec<Evicted>,
    /// The same of each pattern's log that the event went to.
    pub(crate) in_patterns: Vec<(Arc<Log>, Self)>,
}

impl Appended {
    /// Returns the number of inboxes that the event concerns.
    #[inline]
    pub(crate) fn followers(&self) -> usize {
        self.in_patterns.iter().map(|(_, in_patterns)| in_patterns.followers.len()).sum::<usize>()
            + self.followers.len()
    }

    /// Marks the inboxes that the event concerns.
    #[inline]
    pub(crate) fn mark(&mut self) {
        if !self.followers.is_empty() {
            self.marked.reserve_exact(self.followers.len());
            self.marked.extend(self.followers.iter().flatten().filter_map(Follower::mark).map(Some));
        }
        self.in_patterns.iter_mut().for_each(|(_, in_patterns)| in_patterns.mark());
    }

    /// Whether nothing is left to be done: nobody waited, and nothing is to be let go of.
    pub(crate) fn is_settled(&self) -> bool {
        self.wakers.is_empty()
            && !self.queues
            && self.followers.is_empty()
            && self.evicted.is_empty()
            && !self.idle
            && self.in_patterns.is_empty()
    }

    /// How many subscriptions follow the topic, itself or by a pattern.
    pub(crate) fn subscribers(&self) -> usize {
        (self.subscriptions + self.in_patterns.iter().map(|(_, in_patterns)| in_patterns.subscriptions).sum::<u32>())
            as usize
    }
}

/// Publishing to the log.
impl Log {
    /// Appends an event of this topic. Gives it back if the log was dropped meanwhile, or its pattern_logs were found among
    /// patterns of another generation. Under the sequencer. `queues`: a notifier wakes the waiting subscriptions.
    pub(crate) fn append(self: &Arc<Self>, entry: Entry, queues: bool, generation: u64) -> Result<Appended, Entry> {
        let (Some(mut state), Some(topic)) = (self.live(), self.name.as_topic()) else {
            return Err(entry);
        };
        if self.generation.load() != generation {
            return Err(entry);
        }
        let in_patterns = match state.pattern_logs.is_empty() {
            true => Vec::new(),
            false => {
                let in_patterns = state.put_in_patterns(topic, &entry);
                self.pattern_log_count.set(state.pattern_logs.len() as u32);
                in_patterns
            }
        };
        Ok(Appended { in_patterns, ..self.put(&mut state, topic, entry, queues, &mut { EVICTED }) })
    }

    /// Puts an event of this topic, or of one that pattern_logs this log, where it belongs. Evicts as far as `left` goes.
    pub(crate) fn put(
        self: &Arc<Self>,
        state: &mut LogState,
        topic: &Topic,
        entry: Entry,
        queues: bool,
        left: &mut usize,
    ) -> Appended {
        let now = entry.at;
        let is_to_be_filed = state.push(entry, topic, self);
        let evicted = state.evict(self, now, left);
        if is_to_be_filed || state.history().held < state.history().filed {
            state.file(self, FileAt::Last);
        }
        let queues = queues && !state.waiters.is_empty();
        Appended {
            evicted,
            wakers: if queues { Vec::new() } else { state.waiters.take() },
            marked: Vec::new(),
            queues: queues && !std::mem::replace(&mut state.is_queued, true),
            followers: state.followers.as_mut().map(|followers| followers.take()).unwrap_or_default(),
            subscriptions: state.subscriptions,
            idle: state.is_idle(),
            in_patterns: Vec::new(),
        }
    }
}

/// Publishing to the log.
impl LogState {
    /// Appends an event. Returns whether the log is to be filed anew, when what the event evicts is gone.
    fn push(&mut self, entry: Entry, topic: &Topic, log: &Log) -> bool {
        let (weight, sequence, is_pattern) = (entry.event.weight(), entry.sequence, self.is_pattern);
        let history = self.history_mut();
        let is_filed_late = sequence - history.filed_at >= FILED_EVERY;
        if is_filed_late {
            history.filed_at = sequence;
        }
        history.bytes += weight;
        history.held += footprint::event(&entry.event, is_pattern.then_some(topic)) as u64;
        let is_to_be_filed = match (history.sizing.fit(weight), history.segments.newest()) {
            (true, Some(sizing)) => {
                sizing.push(topic, entry);
                is_filed_late
            }
            _ => self.begin(weight, topic, entry, log),
        };
        if self.conflates {
            self.mark_replaced(self.next);
        }
        self.next += 1;
        is_to_be_filed
    }

    /// Begins a segment with an event. Returns whether the log is to be filed anew.
    fn begin(&mut self, weight: usize, topic: &Topic, entry: Entry, log: &Log) -> bool {
        let sizing = self.sizing();
        let history = self.history_mut();
        if history.segments.is_empty() {
            history.held += footprint::topic(&log.name) as u64;
            log.pool.budget.add_topic(footprint::topic(&log.name));
        }
        history.sizing = sizing;
        let places = history.sizing.begin(weight, &log.retention);
        history.held += Segment::footprint(places) as u64;
        // Filed before it is charged: who finds no room finds what to evict, and waits for this lock.
        let is_filed = history.filed > 0;
        if !is_filed {
            self.file(log, FileAt::Last);
        }
        let fresh = Segment::new(topic.clone(), self.next, places, self.is_pattern, log.pool.epoch, &log.pool.budget);
        fresh.push(topic, entry);
        if let Some(sizing) = self.history().segments.newest() {
            sizing.seal(Arc::downgrade(&fresh));
        }
        self.history_mut().segments.push(fresh);
        is_filed
    }

    /// Returns the room in the newest segment.
    pub(crate) fn sizing(&self) -> SegmentSizing {
        let mut sizing = self.history().sizing;
        sizing.is_behind = self.is_lagging();
        sizing
    }
}
