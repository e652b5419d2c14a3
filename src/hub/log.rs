use std::sync::Arc;
use std::task::Waker;

use crate::hub::budget::LogPool;
use crate::hub::inbox::Inbox;
use crate::hub::kept::{Kept, NOTHING};
use crate::hub::notifier::QueuedWaiters;
use crate::hub::rank::Rank;
use crate::hub::segment::Segment;
use crate::hub::sync::{Count, Mirror, Mutex, MutexGuard};
use crate::hub::waiters::Waiters;
use crate::model::{Cursor, Gap, GapReason, Pattern, Retention};

/// The events of one topic, or of all topics that a pattern matches, and who waits for the next.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) name: Pattern,
    /// The log's slot in [`Sizes`](crate::hub::sizes::Sizes).
    pub(super) slot: u32,
    pub(super) retention: Arc<Retention>,
    /// A mirror of [`State::subscriptions`] for those who only want to know whether there are many.
    pub(super) audience: Mirror,
    pub(super) pool: Arc<LogPool<Self>>,
    /// A mirror of how many [feeds](State::feeds) there are.
    pub(super) fed: Mirror,
    /// The [generation](crate::hub::registry::Registry::generation) of the patterns that the feeds were found among.
    /// Changes under the log's lock.
    pub(super) generation: Count,
    state: Mutex<State>,
}

/// The registrations of subscriptions of one topic, and of several.
type Slabs = (Waiters<Waker>, Option<Waiters<Follower>>);

/// What the log's lock guards. Dense indices count this log's events from 0.
#[derive(Debug)]
pub(super) struct State {
    pub(super) kept: Option<Box<Kept>>,
    /// The index of the next event.
    pub(super) next: u64,
    /// The index of the oldest event retained.
    pub(super) first: u64,
    /// The sequence of the newest event that left history before its time to live was over; 0: there is none.
    pub(super) evicted: u64,
    /// The sequence of the newest such event that no newer one of its key had replaced by then, as far as that is known.
    pub(super) unreplaced: u64,
    /// The same of the newest event that is not in memory any more.
    pub(super) gone: u64,
    pub(super) subscriptions: u32,
    /// How many subscriptions of patterns read events of the past here.
    pub(super) replays: u32,
    /// How many events its subscriptions were handed, as far as that is [counted](crate::hub::reader::Uncounted).
    pub(super) delivered: u64,
    pub(super) waiters: Waiters<Waker>,
    /// Whether somebody is to come for those waiters: the [notifier](crate::hub::notifier), or who queues the log there.
    pub(super) is_queued: bool,
    /// The inboxes of the several-topic subscriptions that have read everything here.
    pub(super) followers: Option<Box<Waiters<Follower>>>,
    /// Of a topic's log, those of the patterns that match.
    pub(super) feeds: Box<[Arc<Log>]>,
    pub(super) is_feed: bool,
    /// Whether a subscription conflates, of the topic or of a pattern that matches: from then on what is replaced is
    /// marked.
    pub(super) conflates: bool,
    /// The rank that the log was last [filed](Self::file) with.
    pub(super) rank: Rank,
    pub(super) closed: bool,
    /// Whether it is among those that give way before history does.
    pub(super) is_offered: bool,
    /// Taken out of the registry: whoever still holds the log must ask there again.
    pub(super) dropped: bool,
}

/// An inbox that wants to know of the next event, and the key of this topic there.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) inbox: Arc<Inbox>,
    pub(super) key: u32,
}

impl Follower {
    /// Marks the topic in the inbox. Returns the waker of who waits there.
    pub(super) fn mark(&self) -> Option<Waker> {
        self.inbox.mark(self.key)
    }
}

impl Log {
    /// Returns an empty log in a slot of its own. `evicted` is the sequence of the last event that the topic had before it
    /// was dropped. The feeds were found among the patterns of this generation.
    pub(super) fn new(
        name: Pattern,
        retention: Arc<Retention>,
        evicted: u64,
        feeds: Box<[Arc<Self>]>,
        generation: u64,
        pool: Arc<LogPool<Self>>,
    ) -> Arc<Self> {
        let fed = Mirror::new(feeds.len() as u32);
        let conflates = feeds.iter().any(|feed| feed.state().conflates);
        let state = State {
            kept: None,
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
            feeds,
            is_feed: name.as_topic().is_none(),
            conflates,
            rank: Rank::New,
            closed: false,
            is_offered: false,
            dropped: false,
        };
        Arc::new_cyclic(|log| {
            let slot = pool.by_size.add(log.clone());
            let (audience, generation) = (Mirror::new(0), Count::new(generation));
            Self { name, slot, retention, audience, pool, fed, generation, state: Mutex::new(state) }
        })
    }

    /// To how many patterns' logs an event of this topic goes too.
    pub(super) fn feeds(&self) -> usize {
        self.fed.load() as usize
    }

    /// What is gone here, as a gap.
    pub(super) fn gap(&self, reason: GapReason, cursor: Cursor) -> Gap {
        let gap = Gap::new(reason, cursor);
        match self.name.as_topic() {
            Some(topic) => gap.topic(topic.clone()),
            None => gap,
        }
    }

    /// The state, whether or not the log is still in the registry.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The state, unless the log was dropped from the registry.
    pub(super) fn live(&self) -> Option<MutexGuard<'_, State>> {
        Some(self.state()).filter(|state| !state.dropped)
    }

    /// Takes the emptied allocations of an append back.
    pub(super) fn give_back_all(&self, wakers: Vec<Option<Waker>>, followers: Vec<Option<Follower>>) {
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

impl State {
    #[inline]
    pub(super) fn kept(&self) -> &Kept {
        self.kept.as_deref().unwrap_or(&NOTHING)
    }

    #[inline]
    pub(super) fn kept_mut(&mut self) -> &mut Kept {
        self.kept.get_or_insert_default()
    }

    /// The oldest segment of history.
    #[inline]
    pub(super) fn front(&self) -> Option<&Arc<Segment>> {
        self.kept().segments.oldest()
    }

    /// The sequence of the newest event.
    pub(super) fn last(&self) -> u64 {
        self.kept().segments.newest().map_or(self.gone, |newest| newest.sequence(newest.len().saturating_sub(1)))
    }

    /// Returns whether the registrations of subscriptions have left large allocations.
    #[inline]
    pub(super) fn has_large_slabs(&self) -> bool {
        self.waiters.is_large() || self.followers.as_ref().is_some_and(|followers| followers.is_large())
    }

    /// Takes these allocations out, when all subscriptions have ended. To be dropped outside of the lock.
    #[cold]
    #[inline(never)]
    pub(super) fn release_slabs(&mut self) -> Option<Box<Slabs>> {
        Some(Box::new((self.waiters.release(), self.followers.as_mut().map(|followers| followers.release()))))
    }

    /// Whether nobody would miss the log.
    pub(super) fn is_idle(&self) -> bool {
        !self.has_readers() && (self.is_feed || self.first == self.next)
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
