use std::sync::Arc;
use std::task::Waker;

use crate::contract::Entry;
use crate::hub::footprint;
use crate::hub::history::EVICTED;
use crate::hub::log::{Follower, Log, State};
use crate::hub::segment::{Evicted, Segment};
use crate::hub::sizes::Place;
use crate::hub::tail::Tail;
use crate::model::Topic;

/// Number of the hub's events after which an event has its topic filed anew, as one that is in use.
const FILED_EVERY: u64 = 256;

/// What an append leaves to be done when the locks are released.
#[derive(Debug, Default)]
pub(super) struct Appended {
    pub(super) wakers: Vec<Option<Waker>>,
    /// The log's waiters are to be queued for the notifier.
    pub(super) queues: bool,
    pub(super) followers: Vec<Option<Follower>>,
    /// The wakers of those whose inboxes are marked, and the notifier's.
    pub(super) marked: Vec<Option<Waker>>,
    pub(super) subscriptions: u32,
    pub(super) idle: bool,
    /// Dropped late: the events in it are the user's.
    pub(super) evicted: Vec<Evicted>,
    /// The same of each pattern's log that the event went to.
    pub(super) fed: Vec<(Arc<Log>, Self)>,
}

impl Appended {
    /// Returns the number of inboxes that the event concerns.
    #[inline]
    pub(super) fn followers(&self) -> usize {
        self.fed.iter().map(|(_, fed)| fed.followers.len()).sum::<usize>() + self.followers.len()
    }

    /// Marks the inboxes that the event concerns.
    #[inline]
    pub(super) fn mark(&mut self) {
        if !self.followers.is_empty() {
            self.marked.reserve_exact(self.followers.len());
            self.marked.extend(self.followers.iter().flatten().filter_map(Follower::mark).map(Some));
        }
        self.fed.iter_mut().for_each(|(_, fed)| fed.mark());
    }

    /// Whether nothing is left to be done: nobody waited, and nothing is to be let go of.
    pub(super) fn is_settled(&self) -> bool {
        self.wakers.is_empty()
            && !self.queues
            && self.followers.is_empty()
            && self.evicted.is_empty()
            && !self.idle
            && self.fed.is_empty()
    }

    /// How many subscriptions follow the topic, itself or by a pattern.
    pub(super) fn subscribers(&self) -> usize {
        (self.subscriptions + self.fed.iter().map(|(_, fed)| fed.subscriptions).sum::<u32>()) as usize
    }
}

/// Publishing to the log.
impl Log {
    /// Appends an event of this topic. Gives it back if the log was dropped meanwhile, or its feeds were found among
    /// patterns of another generation. Under the sequencer. `queues`: a notifier wakes the waiting subscriptions.
    pub(super) fn append(self: &Arc<Self>, entry: Entry, queues: bool, generation: u64) -> Result<Appended, Entry> {
        let (Some(mut state), Some(topic)) = (self.live(), self.name.as_topic()) else {
            return Err(entry);
        };
        if self.generation.load() != generation {
            return Err(entry);
        }
        let fed = match state.feeds.is_empty() {
            true => Vec::new(),
            false => {
                let fed = state.feed(topic, &entry);
                self.fed.set(state.feeds.len() as u32);
                fed
            }
        };
        Ok(Appended { fed, ..self.put(&mut state, topic, entry, queues, &mut { EVICTED }) })
    }

    /// Puts an event of this topic, or of one that feeds this log, where it belongs. Evicts as far as `left` goes.
    pub(super) fn put(
        self: &Arc<Self>,
        state: &mut State,
        topic: &Topic,
        entry: Entry,
        queues: bool,
        left: &mut usize,
    ) -> Appended {
        let now = entry.at;
        let is_to_be_filed = state.push(entry, topic, self);
        let evicted = state.evict(self, now, left);
        if is_to_be_filed || state.kept().held < state.kept().filed {
            state.file(self, Place::Last);
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
            fed: Vec::new(),
        }
    }
}

/// Publishing to the log.
impl State {
    /// Appends an event. Returns whether the log is to be filed anew, when what the event evicts is gone.
    fn push(&mut self, entry: Entry, topic: &Topic, log: &Log) -> bool {
        let (weight, sequence, is_feed) = (entry.event.weight(), entry.sequence, self.is_feed);
        let kept = self.kept_mut();
        let is_filed_late = sequence - kept.filed_at >= FILED_EVERY;
        if is_filed_late {
            kept.filed_at = sequence;
        }
        kept.bytes += weight;
        kept.held += footprint::event(&entry.event, is_feed.then_some(topic)) as u64;
        let is_to_be_filed = match (kept.tail.fit(weight), kept.segments.newest()) {
            (true, Some(tail)) => {
                tail.push(topic, entry);
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
        let tail = self.tail();
        let kept = self.kept_mut();
        if kept.segments.is_empty() {
            kept.held += footprint::topic(&log.name) as u64;
            log.pool.budget.add_topic(footprint::topic(&log.name));
        }
        kept.tail = tail;
        let places = kept.tail.begin(weight, &log.retention);
        kept.held += Segment::footprint(places) as u64;
        // Filed before it is charged: who finds no room finds what to evict, and waits for this lock.
        let is_filed = kept.filed > 0;
        if !is_filed {
            self.file(log, Place::Last);
        }
        let fresh = Segment::new(topic.clone(), self.next, places, self.is_feed, log.pool.epoch, &log.pool.budget);
        fresh.push(topic, entry);
        if let Some(tail) = self.kept().segments.newest() {
            tail.seal(Arc::downgrade(&fresh));
        }
        self.kept_mut().segments.push(fresh);
        is_filed
    }

    /// Returns the room in the newest segment.
    pub(super) fn tail(&self) -> Tail {
        let mut tail = self.kept().tail;
        tail.is_behind = self.is_lagging();
        tail
    }
}
