use std::sync::Arc;
use std::task::Waker;

use crate::contract::Entry;
use crate::hub::budget::footprint;
use crate::hub::budget::logs_by_size::FileAt;
use crate::hub::log::eviction::EVICTED;
use crate::hub::log::keyed_state::KeyedState;
use crate::hub::log::log::{Follower, Log, LogState};
use crate::hub::log::segment::{FreedSegment, Segment};
use crate::hub::log::segment_sizing::SegmentSizing;
use crate::model::{StateLimits, Topic};

/// Number of the hub's events after which an event has its topic filed again, as one in use.
const FILED_EVERY: u64 = 256;
/// Number of removals that one publish forgets. A sweep forgets more.
const TRIMMED: usize = 8;

/// Work that an append leaves for the time after the locks are released.
#[derive(Debug, Default)]
pub(crate) struct Appended {
    pub(crate) wakers: Vec<Option<Waker>>,
    /// Whether the waiters of the log are to be queued for the notifier.
    pub(crate) queues: bool,
    pub(crate) followers: Vec<Option<Follower>>,
    /// Wakers of the subscriptions whose inboxes were marked, and of the notifier.
    pub(crate) marked: Vec<Option<Waker>>,
    pub(crate) subscriptions: u32,
    pub(crate) idle: bool,
    /// Dropped last: the events in it are the user's. Boxed because most appends free nothing, and the work is moved.
    pub(crate) freed: Option<Box<Freed>>,
    /// Work of the logs of the patterns that got the event, too.
    pub(crate) in_patterns: Vec<(Arc<Log>, Self)>,
}

/// Segments that an append evicts, and the event that it replaces in the state of a keyed topic.
type Freed = (Vec<FreedSegment>, Option<Entry>);

impl Appended {
    /// Returns the number of inboxes to mark.
    #[inline]
    pub(crate) fn followers(&self) -> usize {
        self.in_patterns.iter().map(|(_, in_patterns)| in_patterns.followers.len()).sum::<usize>()
            + self.followers.len()
    }

    /// Marks the inboxes.
    #[inline]
    pub(crate) fn mark(&mut self) {
        if !self.followers.is_empty() {
            self.marked.reserve_exact(self.followers.len());
            self.marked.extend(self.followers.iter().flatten().filter_map(Follower::mark).map(Some));
        }
        self.in_patterns.iter_mut().for_each(|(_, in_patterns)| in_patterns.mark());
    }

    /// Returns whether no work is left.
    pub(crate) fn is_finished(&self) -> bool {
        self.wakers.is_empty()
            && !self.queues
            && self.followers.is_empty()
            && self.freed.is_none()
            && !self.idle
            && self.in_patterns.is_empty()
    }

    /// Returns the number of subscriptions that follow the topic, by its name or by a pattern.
    pub(crate) fn subscribers(&self) -> usize {
        (self.subscriptions + self.in_patterns.iter().map(|(_, in_patterns)| in_patterns.subscriptions).sum::<u32>())
            as usize
    }
}

/// Publishing to the log.
impl Log {
    /// Appends an event of this topic. Returns the event if the log was dropped meanwhile, or if its pattern logs were
    /// found among patterns of another generation. Called under the sequencer. `queues`: a notifier wakes the waiting
    /// subscriptions.
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

    /// Appends an event of this topic, or of one that the pattern matches. Evicts as far as `left` allows.
    pub(crate) fn put(
        self: &Arc<Self>,
        state: &mut LogState,
        topic: &Topic,
        entry: Entry,
        queues: bool,
        left: &mut usize,
    ) -> Appended {
        let now = entry.at;
        let mut freed = match state.retention.state {
            None => None,
            Some(limits) => state.put_in_state(self, &entry, limits),
        };
        let is_to_be_filed = state.push(entry, topic, self);
        let evicted = state.evict(self, now, left);
        if !evicted.is_empty() {
            freed.get_or_insert_default().0 = evicted;
        }
        if is_to_be_filed || state.history().held < state.history().filed {
            state.file(self, FileAt::Last);
        }
        Appended { freed, ..state.take_registered(queues) }
    }
}

/// Publishing to the log.
impl LogState {
    /// Takes the registrations for the next event, or for the end. `queues`: a notifier wakes the waiting subscriptions.
    #[inline(always)]
    pub(crate) fn take_registered(&mut self, queues: bool) -> Appended {
        let queues = queues && !self.waiters.is_empty();
        Appended {
            freed: None,
            wakers: if queues { Vec::new() } else { self.waiters.take() },
            marked: Vec::new(),
            queues: queues && !std::mem::replace(&mut self.is_queued, true),
            followers: self.followers.as_mut().map(|followers| followers.take()).unwrap_or_default(),
            subscriptions: self.subscriptions,
            idle: self.is_idle(),
            in_patterns: Vec::new(),
        }
    }

    /// Appends an event. Returns whether the log is to be filed again after the eviction.
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

    /// Puts an event of a keyed topic into its state. Returns the event that it replaces, if there is one.
    #[cold]
    #[inline(never)]
    fn put_in_state(&mut self, log: &Log, entry: &Entry, limits: StateLimits) -> Option<Box<Freed>> {
        let evicted = self.evicted;
        let state = self
            .history_mut()
            .state
            .get_or_insert_with(|| Box::new(KeyedState::new(&log.name, evicted, &log.pool.budget)));
        let replaced = state.put(entry);
        state.trim(limits, evicted, entry.at, &mut { TRIMMED });
        replaced.is_some().then(|| Box::new((Vec::new(), replaced)))
    }

    /// Begins a segment with an event. Returns whether the log is to be filed again.
    fn begin(&mut self, weight: usize, topic: &Topic, entry: Entry, log: &Log) -> bool {
        let mut sizing = self.sizing();
        let places = sizing.begin(weight, &self.retention);
        let history = self.history_mut();
        if history.segments.is_empty() {
            history.held += footprint::topic(&log.name) as u64;
            log.pool.budget.add_topic(footprint::topic(&log.name));
        }
        history.sizing = sizing;
        history.held += Segment::footprint(places) as u64;
        // Filed before it is charged: a publisher that finds no room finds this log to evict, and waits for its lock.
        let is_filed = history.filed > 0;
        if !is_filed {
            self.file(log, FileAt::Last);
        }
        let fresh = Segment::new(topic.clone(), self.next, places, self.is_pattern, log.pool.epoch, &log.pool.budget);
        fresh.push(topic, entry);
        if let Some(newest) = self.history().segments.newest() {
            newest.seal(Arc::downgrade(&fresh));
        }
        self.history_mut().segments.push(fresh);
        is_filed
    }

    /// Returns the sizing of the newest segment.
    pub(crate) fn sizing(&self) -> SegmentSizing {
        let mut sizing = self.history().sizing;
        sizing.is_behind = self.is_lagging();
        sizing
    }
}
