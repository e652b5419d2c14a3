use std::sync::Arc;
use std::task::Waker;

use crate::contract::Entry;
use crate::hub::appended::{Appended, Relief};
use crate::hub::budget::Budget;
use crate::hub::footprint;
use crate::hub::history::EVICTED;
use crate::hub::inbox::Inbox;
use crate::hub::kept::Kept;
use crate::hub::rhythm::{INTERVALS, Rhythm};
use crate::hub::segment::Segment;
use crate::hub::sizes::{Place, Rank};
use crate::hub::sync::{Count, Mirror, Mutex, MutexGuard};
use crate::hub::tail::Tail;
use crate::hub::waiters::Waiters;
use crate::model::{Cursor, Gap, GapReason, Pattern, Retention, Topic};

/// Number of the hub's events after which an event has its topic filed anew, as one that is in use.
const FILED_EVERY: u64 = 256;

/// The events of one topic, or of all topics that a pattern matches, and the waiters for the next.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) name: Pattern,
    /// The log's slot in [`Sizes`](crate::hub::sizes::Sizes).
    pub(super) slot: u32,
    pub(super) retention: Arc<Retention>,
    /// A mirror of [`State::subscriptions`] for code that only needs to know whether there are many.
    pub(super) audience: Mirror,
    pub(super) budget: Arc<Budget>,
    /// A mirror of how many [feeds](State::feeds) there are.
    pub(super) fed: Mirror,
    /// The [generation](crate::hub::registry::Registry::generation) of the patterns that the feeds were found among.
    /// Changes under the log's lock.
    pub(super) generation: Count,
    state: Mutex<State>,
}

/// The registrations of subscriptions of one topic, and of several.
type Slabs = (Waiters<Waker>, Option<Waiters<Follower>>);

/// State that the log's lock guards. Dense indices count this log's events from 0.
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
    /// The sequence of the newest such event that is not in memory any more.
    pub(super) gone: u64,
    pub(super) subscriptions: u32,
    /// How many subscriptions of patterns read events of the past here.
    pub(super) replays: u32,
    /// How many events its subscriptions were handed, as far as that is [counted](crate::hub::reader::Uncounted).
    pub(super) delivered: u64,
    pub(super) waiters: Waiters<Waker>,
    /// Whether the [notifier](crate::hub::notifier), or the publisher that queues the log there, is to come for those
    /// waiters.
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
    /// Taken out of the registry: code that still holds the log must ask there again.
    pub(super) dropped: bool,
}

/// An inbox that wants to know of the next event, and the key of this topic there.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) inbox: Arc<Inbox>,
    pub(super) key: u32,
}

impl Follower {
    /// Marks the topic in the inbox. Returns the waker of the subscription that waits there.
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
        budget: Arc<Budget>,
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
            let slot = budget.sizes.add(log.clone());
            let (audience, generation) = (Mirror::new(0), Count::new(generation));
            Self { name, slot, retention, audience, budget, fed, generation, state: Mutex::new(state) }
        })
    }

    /// To how many patterns' logs an event of this topic goes too.
    pub(super) fn feeds(&self) -> usize {
        self.fed.load() as usize
    }

    /// Returns a gap for the events that are gone here.
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

    /// Evicts the oldest segment, be it the newest too. `None` if there is none, or if the log turns out to hold less than
    /// it is filed with, or to have a subscription since: then it is filed anew.
    pub(super) fn evict_oldest(self: &Arc<Self>, now: u64) -> Option<Relief<'_>> {
        let mut state = self.live()?;
        let is_followed_since = state.rank() == Rank::Followed && state.rank != Rank::Followed;
        let is_misfiled = state.kept().held < state.kept().filed || is_followed_since;
        let relief = if is_misfiled { None } else { state.evict_oldest(self, now) };
        let place = match (state.subscriptions == 0 && !state.is_feed, &relief) {
            (true, Some(_)) => Place::Stays,
            (true, None) => Place::First,
            (false, _) if is_followed_since => Place::First,
            (false, _) => Place::Last,
        };
        state.file(self, place);
        relief
    }

    /// Evicts the oldest segment, if retention promises nothing of it.
    pub(super) fn evict_surplus(self: &Arc<Self>, now: u64) -> Option<Relief<'_>> {
        let mut state = self.live()?;
        state.is_offered = false;
        let held = state.kept().held;
        let relief = if state.has_surplus() { state.evict_oldest(self, now) } else { None };
        if state.has_surplus() {
            state.offer(self);
        }
        if state.kept().held != held {
            state.file(self, Place::Last);
        }
        relief
    }

    /// Forgets the patterns that nobody follows any more.
    pub(super) fn forget_feeds(&self) {
        let mut state = self.state();
        let live = state.feeds.iter().filter(|feed| feed.live().is_some()).cloned().collect();
        let old = std::mem::replace(&mut state.feeds, live);
        self.fed.set(state.feeds.len() as u32);
        drop(state);
        drop(old);
    }

    /// Takes the emptied allocations of an append back.
    pub(super) fn give_back(&self, wakers: Vec<Option<Waker>>, followers: Vec<Option<Follower>>) {
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
            log.budget.add_topic(footprint::topic(&log.name));
        }
        kept.tail = tail;
        let places = kept.tail.begin(weight, &log.retention);
        kept.held += footprint::segment(places) as u64;
        // Filed before it is charged: who finds no room finds what to evict, and waits for this lock.
        let is_filed = kept.filed > 0;
        if !is_filed {
            self.file(log, Place::Last);
        }
        let fresh = Segment::new(topic.clone(), self.next, places, self.is_feed, &log.budget);
        fresh.push(topic, entry);
        if let Some(tail) = self.kept().segments.newest() {
            tail.seal(Arc::downgrade(&fresh), &log.budget);
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

    /// When the last events came, as far as they are in memory.
    pub(super) fn rhythm(&self) -> Option<Rhythm> {
        let at = |index| Some(self.segment_at(index)?.entry_at(index)?.at);
        let last = self.next.checked_sub(1)?;
        let first = last.saturating_sub(INTERVALS).max(self.front()?.base);
        Some(Rhythm { first: at(first)?, last: at(last)?, intervals: last - first })
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
