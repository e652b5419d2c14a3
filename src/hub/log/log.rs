use std::sync::Arc;
use std::task::Waker;

use crate::hub::budget::budget::LogPool;
use crate::hub::budget::rank::Rank;
use crate::hub::log::end_mark::{EndMark, LogEnd};
use crate::hub::log::history::{History, NO_HISTORY};
use crate::hub::log::segment::Segment;
use crate::hub::sync::{Count, Mirror, Mutex, MutexGuard, Switch};
use crate::hub::wake::inbox::Inbox;
use crate::hub::wake::notifier::QueuedWaiters;
use crate::hub::wake::waiters::Waiters;
use crate::model::{Cursor, Gap, GapReason, Pattern, Retention};

/// Log of the events of one topic, or of all topics that a pattern matches, with the registrations for its next event.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) name: Pattern,
    /// Slot in [`LogsBySize`](crate::hub::budget::logs_by_size::LogsBySize).
    pub(crate) slot: u32,
    /// Mirror of [`LogState::subscriptions`], to be read without the lock.
    pub(crate) subscriber_count: Mirror,
    pub(crate) pool: Arc<LogPool<Self>>,
    /// Mirror of the number of [pattern logs](LogState::pattern_logs).
    pub(crate) pattern_log_count: Mirror,
    /// [Generation](crate::hub::topics::registry::Registry::generation) of the patterns among which the pattern logs
    /// were found. Changes under the log's lock.
    pub(crate) generation: Count,
    /// Whether events are refused: the log was dropped, or the topic has ended. Read under the sequencer, under which topics
    /// end, it is never outdated for an end.
    pub(crate) refuses: Switch,
    /// Whether the newest event of each key is kept. Mirror of [`Retention::state`].
    pub(crate) keyed: Switch,
    state: Mutex<LogState>,
}

/// Registrations of subscriptions of one topic, and of several topics.
type Slabs = (Waiters<Waker>, Option<Waiters<Follower>>);

/// State under the log's lock. Dense indices count the events of this log from 0.
#[derive(Debug)]
pub(crate) struct LogState {
    pub(crate) history: Option<Box<History>>,
    pub(crate) retention: Arc<Retention>,
    /// Index of the next event.
    pub(crate) next: u64,
    /// Index of the oldest retained event.
    pub(crate) first: u64,
    /// Sequence of the newest event that left history before it expired; 0 if there is none.
    pub(crate) evicted: u64,
    /// Sequence of the newest such event that was not known to be replaced by a newer one of its key.
    pub(crate) unreplaced: u64,
    /// Sequence of the newest event that has left memory.
    pub(crate) gone: u64,
    pub(crate) subscriptions: u32,
    /// Number of subscriptions of patterns that read past events here.
    pub(crate) backfills: u32,
    /// Number of delivered events, as far as they are [counted](crate::hub::subscription::reader::Uncounted).
    pub(crate) delivered: u64,
    pub(crate) waiters: Waiters<Waker>,
    /// Whether the waiters are queued for the [notifier](crate::hub::wake::notifier), or about to be.
    pub(crate) is_queued: bool,
    /// Inboxes of the subscriptions of several topics that have read everything here.
    pub(crate) followers: Option<Box<Waiters<Follower>>>,
    /// Logs of the patterns that match the topic; none in the log of a pattern.
    pub(crate) pattern_logs: Box<[Arc<Log>]>,
    pub(crate) is_pattern: bool,
    /// Whether a subscription of the topic, or of a pattern that matches, conflates. From then on replaced events are
    /// marked.
    pub(crate) conflates: bool,
    /// Rank with which the log was last [filed](Self::file).
    pub(crate) rank: Rank,
    /// Whether no event follows: the topic has ended, or the hub is closed.
    pub(crate) is_over: bool,
    /// Whether the hub is closed.
    pub(crate) is_closed: bool,
    /// Whether it is offered for eviction before history.
    pub(crate) is_offered: bool,
    /// Whether the log was removed from the registry: a caller that still holds it must ask the registry again.
    pub(crate) dropped: bool,
    /// End of the topic.
    pub(crate) end: Option<Box<LogEnd>>,
}

/// Inbox that is to be marked at the next event, and the key of the topic there.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) key: u32,
}

impl Follower {
    /// Marks the topic in the inbox. Returns the waker of the subscription if it waits.
    pub(crate) fn mark(&self) -> Option<Waker> {
        self.inbox.mark(self.key)
    }
}

impl Log {
    /// Returns an empty log in its own slot. `evicted` is the sequence of the last event of the topic before it was
    /// dropped, `end` the end of the topic. `generation` is that of the patterns among which the pattern logs were found.
    pub(crate) fn new(
        name: Pattern,
        retention: Arc<Retention>,
        evicted: u64,
        end: Option<EndMark>,
        pattern_logs: Box<[Arc<Self>]>,
        generation: u64,
        pool: Arc<LogPool<Self>>,
    ) -> Arc<Self> {
        let pattern_log_count = Mirror::new(pattern_logs.len() as u32);
        let conflates = pattern_logs.iter().any(|pattern_log| pattern_log.state().conflates);
        let (refuses, keyed) = (Switch::new(end.is_some()), Switch::new(retention.state.is_some()));
        let state = LogState {
            history: None,
            retention,
            next: 0,
            first: 0,
            evicted,
            unreplaced: evicted,
            gone: evicted,
            subscriptions: 0,
            backfills: 0,
            delivered: 0,
            waiters: Waiters::new(),
            is_queued: false,
            followers: None,
            pattern_logs,
            is_pattern: name.as_topic().is_none(),
            conflates,
            rank: Rank::New,
            is_over: end.is_some(),
            is_closed: false,
            is_offered: false,
            dropped: false,
            end: end.map(|mark| Box::new(LogEnd::new(mark))),
        };
        Arc::new_cyclic(|log| {
            let slot = pool.by_size.add(log.clone());
            let (subscriber_count, generation) = (Mirror::new(0), Count::new(generation));
            Self {
                name,
                slot,
                subscriber_count,
                pool,
                pattern_log_count,
                generation,
                refuses,
                keyed,
                state: Mutex::new(state),
            }
        })
    }

    /// Returns the number of pattern logs that get each event of the topic, too.
    pub(crate) fn pattern_logs(&self) -> usize {
        self.pattern_log_count.load() as usize
    }

    /// Returns a gap of this log.
    pub(crate) fn gap(&self, reason: GapReason, cursor: Cursor) -> Gap {
        let gap = Gap::new(reason, cursor);
        match self.name.as_topic() {
            Some(topic) => gap.with_topic(topic.clone()),
            None => gap,
        }
    }

    /// Locks the state, whether or not the log is still in the registry.
    pub(crate) fn state(&self) -> MutexGuard<'_, LogState> {
        self.state.lock()
    }

    /// Locks the state; `None` if the log was removed from the registry.
    pub(crate) fn live(&self) -> Option<MutexGuard<'_, LogState>> {
        Some(self.state()).filter(|state| !state.dropped)
    }

    /// Takes the emptied allocations of an append back.
    pub(crate) fn give_back_all(&self, wakers: Vec<Option<Waker>>, followers: Vec<Option<Follower>>) {
        if wakers.capacity() == 0 && followers.capacity() == 0 {
            return;
        }
        let mut state = self.state();
        let readers = state.subscriptions + state.backfills;
        let wakers = state.waiters.give_back(wakers, readers);
        let followers = match &mut state.followers {
            Some(slab) => slab.give_back(followers, readers),
            None => [followers, Vec::new()],
        };
        drop(state);
        drop((wakers, followers));
    }
}

impl LogState {
    #[inline]
    pub(crate) fn history(&self) -> &History {
        self.history.as_deref().unwrap_or(&NO_HISTORY)
    }

    #[inline]
    pub(crate) fn history_mut(&mut self) -> &mut History {
        self.history.get_or_insert_default()
    }

    /// Returns the oldest segment of history.
    #[inline]
    pub(crate) fn front(&self) -> Option<&Arc<Segment>> {
        self.history().segments.oldest()
    }

    /// Returns the sequence of the newest event.
    pub(crate) fn last(&self) -> u64 {
        self.history().segments.newest().map_or(self.gone, |newest| newest.sequence(newest.len().saturating_sub(1)))
    }

    /// Returns whether the registrations of subscriptions have left large allocations.
    #[inline]
    pub(crate) fn has_large_slabs(&self) -> bool {
        self.waiters.is_large() || self.followers.as_ref().is_some_and(|followers| followers.is_large())
    }

    /// Takes these allocations when all subscriptions have ended. The caller drops them outside of the lock.
    #[cold]
    #[inline(never)]
    pub(crate) fn release_slabs(&mut self) -> Option<Box<Slabs>> {
        Some(Box::new((self.waiters.release(), self.followers.as_mut().map(|followers| followers.release()))))
    }

    /// Returns whether the log has no subscriptions, no history and no state.
    pub(crate) fn is_idle(&self) -> bool {
        !self.has_readers() && (self.is_pattern || self.first == self.next) && !self.has_state()
    }
}

/// Access of the notifier to the waiters of the log.
impl QueuedWaiters for Log {
    fn take_queued(&self) -> Vec<Option<Waker>> {
        let mut state = self.state();
        state.is_queued = false;
        state.waiters.take()
    }

    fn give_back(&self, wakers: Vec<Option<Waker>>) {
        self.give_back_all(wakers, Vec::new());
    }
}
