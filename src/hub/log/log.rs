use std::sync::Arc;
use std::task::Waker;

use crate::hub::budget::budget::LogPool;
use crate::hub::budget::rank::Rank;
use crate::hub::log::history::{History, NO_HISTORY};
use crate::hub::log::segment::Segment;
use crate::hub::sync::{Count, Mirror, Mutex, MutexGuard};
use crate::hub::wake::inbox::Inbox;
use crate::hub::wake::notifier::QueuedWaiters;
use crate::hub::wake::waiters::Waiters;
use crate::model::{Cursor, Gap, GapReason, Pattern, Retention};

/// The events of one topic, or of all topics that a pattern matches, and who waits for the next.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) name: Pattern,
    /// The log's slot in [`LogsBySize`](crate::hub::budget::logs_by_size::LogsBySize).
    pub(crate) slot: u32,
    pub(crate) retention: Arc<Retention>,
    /// A mirror of [`LogState::subscriptions`] for those who only want to know whether there are many.
    pub(crate) subscriber_count: Mirror,
    pub(crate) pool: Arc<LogPool<Self>>,
    /// A mirror of how many [pattern_logs](LogState::pattern_logs) there are.
    pub(crate) pattern_log_count: Mirror,
    /// The [generation](crate::hub::topics::registry::Registry::generation) of the patterns that the pattern_logs were found among.
    /// Changes under the log's lock.
    pub(crate) generation: Count,
    state: Mutex<LogState>,
}

/// The registrations of subscriptions of one topic, and of several.
type Slabs = (Waiters<Waker>, Option<Waiters<Follower>>);

/// What the log's lock guards. Dense indices count this log's events from 0.
#[derive(Debug)]
pub(crate) struct LogState {
    pub(crate) history: Option<Box<History>>,
    /// The index of the next event.
    pub(crate) next: u64,
    /// The index of the oldest event retained.
    pub(crate) first: u64,
    /// The sequence of the newest event that left history before its time to live was over; 0: there is none.
    pub(crate) evicted: u64,
    /// The sequence of the newest such event that no newer one of its key had replaced by then, as far as that is known.
    pub(crate) unreplaced: u64,
    /// The same of the newest event that is not in memory any more.
    pub(crate) gone: u64,
    pub(crate) subscriptions: u32,
    /// How many subscriptions of patterns read events of the past here.
    pub(crate) replays: u32,
    /// How many events its subscriptions were handed, as far as that is [counted](crate::hub::subscription::reader::Uncounted).
    pub(crate) delivered: u64,
    pub(crate) waiters: Waiters<Waker>,
    /// Whether somebody is to come for those waiters: the [notifier](crate::hub::wake::notifier), or who queues the log there.
    pub(crate) is_queued: bool,
    /// The inboxes of the several-topic subscriptions that have read everything here.
    pub(crate) followers: Option<Box<Waiters<Follower>>>,
    /// Of a topic's log, those of the patterns that match.
    pub(crate) pattern_logs: Box<[Arc<Log>]>,
    pub(crate) is_pattern: bool,
    /// Whether a subscription conflates, of the topic or of a pattern that matches: from then on what is replaced is
    /// marked.
    pub(crate) conflates: bool,
    /// The rank that the log was last [filed](Self::file) with.
    pub(crate) rank: Rank,
    pub(crate) closed: bool,
    /// Whether it is among those that give way before history does.
    pub(crate) is_offered: bool,
    /// Taken out of the registry: whoever still holds the log must ask there again.
    pub(crate) dropped: bool,
}

/// An inbox that wants to know of the next event, and the key of this topic there.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) key: u32,
}

impl Follower {
    /// Marks the topic in the inbox. Returns the waker of who waits there.
    pub(crate) fn mark(&self) -> Option<Waker> {
        self.inbox.mark(self.key)
    }
}

impl Log {
    /// Returns an empty log in a slot of its own. `evicted` is the sequence of the last event that the topic had before it
    /// was dropped. The pattern_logs were found among the patterns of this generation.
    pub(crate) fn new(
        name: Pattern,
        retention: Arc<Retention>,
        evicted: u64,
        pattern_logs: Box<[Arc<Self>]>,
        generation: u64,
        pool: Arc<LogPool<Self>>,
    ) -> Arc<Self> {
        let pattern_log_count = Mirror::new(pattern_logs.len() as u32);
        let conflates = pattern_logs.iter().any(|pattern_log| pattern_log.state().conflates);
        let state = LogState {
            history: None,
            next: 0,
            first: 0,
            evicted,
            unreplaced: evicted,
            gone: evicted,
            subscriptions: 0,
            replays: 0,
            delivered: 0,
            waiters: Waiters::new(),
            is_queued: false,
            followers: None,
            pattern_logs,
            is_pattern: name.as_topic().is_none(),
            conflates,
            rank: Rank::New,
            closed: false,
            is_offered: false,
            dropped: false,
        };
        Arc::new_cyclic(|log| {
            let slot = pool.by_size.add(log.clone());
            let (subscriber_count, generation) = (Mirror::new(0), Count::new(generation));
            Self {
                name,
                slot,
                retention,
                subscriber_count,
                pool,
                pattern_log_count,
                generation,
                state: Mutex::new(state),
            }
        })
    }

    /// To how many patterns' logs an event of this topic goes too.
    pub(crate) fn pattern_logs(&self) -> usize {
        self.pattern_log_count.load() as usize
    }

    /// What is gone here, as a gap.
    pub(crate) fn gap(&self, reason: GapReason, cursor: Cursor) -> Gap {
        let gap = Gap::new(reason, cursor);
        match self.name.as_topic() {
            Some(topic) => gap.topic(topic.clone()),
            None => gap,
        }
    }

    /// The state, whether or not the log is still in the registry.
    pub(crate) fn state(&self) -> MutexGuard<'_, LogState> {
        self.state.lock()
    }

    /// The state, unless the log was dropped from the registry.
    pub(crate) fn live(&self) -> Option<MutexGuard<'_, LogState>> {
        Some(self.state()).filter(|state| !state.dropped)
    }

    /// Takes the emptied allocations of an append back.
    pub(crate) fn give_back_all(&self, wakers: Vec<Option<Waker>>, followers: Vec<Option<Follower>>) {
        if wakers.capacity() == 0 && followers.capacity() == 0 {
            return;
        }
        let mut state = self.state();
        let readers = state.subscriptions + state.replays;
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

    /// The oldest segment of history.
    #[inline]
    pub(crate) fn front(&self) -> Option<&Arc<Segment>> {
        self.history().segments.oldest()
    }

    /// The sequence of the newest event.
    pub(crate) fn last(&self) -> u64 {
        self.history().segments.newest().map_or(self.gone, |newest| newest.sequence(newest.len().saturating_sub(1)))
    }

    /// Returns whether the registrations of subscriptions have left large allocations.
    #[inline]
    pub(crate) fn has_large_slabs(&self) -> bool {
        self.waiters.is_large() || self.followers.as_ref().is_some_and(|followers| followers.is_large())
    }

    /// Takes these allocations out, when all subscriptions have ended. To be dropped outside of the lock.
    #[cold]
    #[inline(never)]
    pub(crate) fn release_slabs(&mut self) -> Option<Box<Slabs>> {
        Some(Box::new((self.waiters.release(), self.followers.as_mut().map(|followers| followers.release()))))
    }

    /// Whether nobody would miss the log.
    pub(crate) fn is_idle(&self) -> bool {
        !self.has_readers() && (self.is_pattern || self.first == self.next)
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
