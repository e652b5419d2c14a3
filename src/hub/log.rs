use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::task::Waker;

use crate::contract::Entry;
use crate::hub::inbox::Inbox;
use crate::hub::newest::Newest;
use crate::hub::rhythm::{INTERVALS, Rhythm};
use crate::hub::segment::{Segment, nanos};
use crate::hub::sync::{Count, Mutex, MutexGuard};
use crate::hub::waiters::Waiters;
use crate::model::{Retention, Topic};

/// Places in a topic's first segment; each next one has twice as many, so that a small topic stays small.
const FIRST_PLACES: usize = 2;
/// Places in a segment at most, between these as many as history has: a burst of a hundred events is mostly in one, and
/// so goes out as one piece, and where little is to be kept no more than a little is.
const MOST_PLACES: RangeInclusive<usize> = 64..=256;
/// The weight at which a segment is sealed, so that a slow reader pins no more than this and one event.
const SEAL_WEIGHT: usize = 64 * 1024;

/// One topic's events, and who waits for the next.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) topic: Topic,
    pub(super) epoch: u64,
    /// A mirror of [`State::subscriptions`] for those who only want to know whether there are many.
    pub(super) audience: Count,
    state: Mutex<State>,
}

/// What the log's lock guards. Dense indices count this topic's events from 0.
#[derive(Debug)]
pub(super) struct State {
    segments: VecDeque<Arc<Segment>>,
    /// The index of the next event.
    pub(super) next: u64,
    /// The index of the oldest event retained.
    pub(super) first: u64,
    /// The weight of what is retained.
    pub(super) bytes: usize,
    /// The weight of the newest segment.
    tail_weight: usize,
    /// The sequence of the newest event that left history before its time to live was over; 0: there is none.
    pub(super) evicted: u64,
    /// The index after that event.
    lost: u64,
    /// The same of the newest event that is not in memory any more.
    gone: u64,
    /// The sequence of the newest event.
    last: u64,
    pub(super) subscriptions: usize,
    pub(super) waiters: Waiters<Waker>,
    /// Set once a subscription conflates: from then on what is replaced is marked.
    newest: Option<Box<Newest>>,
    /// The inboxes of the several-topic subscriptions that have read everything here.
    pub(super) followers: Option<Box<Waiters<Follower>>>,
    pub(super) closed: bool,
    /// Taken out of the registry: whoever still holds the log must ask there again.
    dropped: bool,
}

/// An inbox that wants to know of the next event, and the key of this topic there.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) inbox: Arc<Inbox>,
    pub(super) key: u32,
}

/// What an append leaves to be done when the locks are released.
#[derive(Debug, Default)]
pub(super) struct Appended {
    pub(super) wakers: Vec<Option<Waker>>,
    pub(super) followers: Vec<Option<Follower>>,
    pub(super) subscriptions: usize,
    pub(super) idle: bool,
    /// Dropped late: the events in it are the user's.
    pub(super) evicted: Vec<Arc<Segment>>,
}

/// Where in the log a subscription begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum From {
    /// After a sequence that is the present: with what is in memory, retained or not.
    Live(u64),
    /// After a sequence of the past: with what is retained.
    After(u64),
    Oldest,
    Last(usize),
}

/// Where a subscription was placed.
#[derive(Debug)]
pub(super) struct Placed {
    /// The index of the first event to deliver.
    pub(super) index: u64,
    /// That event's sequence, if it is there already.
    pub(super) head: Option<u64>,
    /// The sequence up to which events are gone that it should have had.
    pub(super) gap: Option<u64>,
}

/// The oldest event retained, as far as its eviction goes.
struct Oldest {
    sequence: u64,
    at: u64,
    weight: usize,
    is_expired: bool,
}

/// What a reader finds at its index.
#[derive(Debug)]
pub(super) enum Found {
    /// The segment that holds it.
    Segment(Arc<Segment>),
    /// It is gone, like everything before `to`. Of that, everything from `lost` on had expired before it went; what is
    /// before is missed, and the last of it had the sequence `evicted`.
    Lost { to: u64, lost: u64, evicted: u64 },
    /// It is not published yet.
    Nothing,
}

impl Appended {
    /// Whether nothing is left to be done: nobody waited, and nothing is to be let go of.
    pub(super) fn is_settled(&self) -> bool {
        self.wakers.is_empty() && self.followers.is_empty() && self.evicted.is_empty() && !self.idle
    }
}

impl Log {
    /// An empty log. `evicted` is the sequence of the last event that the topic had before it was dropped.
    pub(super) fn new(topic: Topic, epoch: u64, evicted: u64) -> Self {
        let state = State {
            segments: VecDeque::new(),
            next: 0,
            first: 0,
            bytes: 0,
            tail_weight: 0,
            evicted,
            lost: 0,
            gone: evicted,
            last: evicted,
            subscriptions: 0,
            waiters: Waiters::new(),
            newest: None,
            followers: None,
            closed: false,
            dropped: false,
        };
        Self { topic, epoch, audience: Count::new(0), state: Mutex::new(state) }
    }

    /// The state, whether or not the log is still in the registry.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The state, unless the log was dropped from the registry.
    pub(super) fn live(&self) -> Option<MutexGuard<'_, State>> {
        Some(self.state()).filter(|state| !state.dropped)
    }

    /// Appends an event, or gives it back if the log was dropped meanwhile. Under the sequencer.
    pub(super) fn append(&self, entry: Entry, retention: &Retention) -> Result<Appended, Entry> {
        let Some(mut state) = self.live() else {
            return Err(entry);
        };
        let now = entry.at;
        state.push(entry, &self.topic, self.epoch, retention);
        Ok(Appended {
            evicted: state.evict(retention, now),
            wakers: state.waiters.take(),
            followers: state.followers.as_mut().map(|followers| followers.take()).unwrap_or_default(),
            subscriptions: state.subscriptions,
            idle: state.is_idle(),
        })
    }

    /// Takes the emptied allocations of an append back.
    pub(super) fn give_back(&self, wakers: Vec<Option<Waker>>, followers: Vec<Option<Follower>>) {
        if wakers.capacity() == 0 && followers.capacity() == 0 {
            return;
        }
        let mut state = self.state();
        let wakers = state.waiters.give_back(wakers);
        let followers = match &mut state.followers {
            Some(slab) => slab.give_back(followers),
            None => followers,
        };
        drop(state);
        drop((wakers, followers));
    }
}

impl State {
    fn push(&mut self, entry: Entry, topic: &Topic, epoch: u64, retention: &Retention) {
        let weight = entry.event.weight();
        self.last = entry.sequence;
        let tail = self.segments.back().filter(|tail| {
            (tail.len() as usize) < tail.places() && self.tail_weight.saturating_add(weight) <= SEAL_WEIGHT
        });
        match tail {
            Some(tail) => tail.push(entry),
            None => {
                let most = retention.count.clamp(*MOST_PLACES.start(), *MOST_PLACES.end());
                let places = self.segments.back().map_or(FIRST_PLACES, |tail| most.min(tail.places() * 2));
                let fresh = Arc::new(Segment::new(topic.clone(), epoch, self.next, places));
                fresh.push(entry);
                if let Some(tail) = self.segments.back() {
                    tail.seal(&fresh);
                }
                self.segments.push_back(fresh);
                self.tail_weight = 0;
            }
        }
        self.mark_replaced(self.next);
        self.next += 1;
        self.tail_weight += weight;
        self.bytes += weight;
    }

    /// Begins to mark which events newer ones of their keys replace, if it has not begun, with those in memory.
    pub(super) fn conflate(&mut self) {
        if self.newest.is_none() {
            self.newest = Some(Box::default());
            let start = self.segments.front().map_or(self.next, |front| front.base);
            (start..self.next).for_each(|index| self.mark_replaced(index));
        }
    }

    /// Marks the event that the one at `index` replaces.
    fn mark_replaced(&mut self, index: u64) {
        let Some(mut newest) = self.newest.take() else {
            return;
        };
        let entry = self.segment_at(index).and_then(|segment| segment.entry_at(index));
        let replaced = entry.and_then(|entry| newest.put(entry.event.key()?, index));
        if let Some(replaced) = replaced {
            self.segment_at(replaced).into_iter().for_each(|segment| segment.replace(replaced));
        }
        self.newest = Some(newest);
    }

    /// Moves the start of history to where the retention allows, and past what has expired there. Returns the segments
    /// that are gone by that. The newest one stays for those who read along.
    pub(super) fn evict(&mut self, retention: &Retention, now: u64) -> Vec<Arc<Segment>> {
        let (count, age) = (retention.count as u64, nanos(retention.age));
        let mut gone = Vec::new();
        loop {
            while self.segments.len() > 1 && self.segments.front().is_some_and(|front| front.end() <= self.first) {
                if let Some(front) = self.segments.pop_front() {
                    if let Some(newest) = &mut self.newest {
                        newest.forget(&front);
                    }
                    self.gone = front.sequence(front.len().saturating_sub(1));
                    gone.push(front);
                }
            }
            let Some(Oldest { sequence, at, weight, is_expired }) = self.oldest(now) else {
                return gone;
            };
            let too_much = self.next - self.first > count || self.bytes > retention.bytes;
            if !is_expired && !too_much && now.saturating_sub(at) < age {
                return gone;
            }
            self.bytes -= weight;
            self.first += 1;
            if !is_expired {
                self.evicted = sequence;
                self.lost = self.first;
            }
        }
    }

    fn oldest(&self, now: u64) -> Option<Oldest> {
        let front = self.segments.front()?;
        let Entry { sequence, at, event } = front.entry_at(self.first)?;
        let is_expired = !front.never_expires() && front.is_expired((self.first - front.base) as u32, now);
        Some(Oldest { sequence: *sequence, at: *at, weight: event.weight(), is_expired })
    }

    /// Where a subscription begins. History must have been evicted to the present before.
    pub(super) fn place(&self, from: From, now: u64) -> Placed {
        let (index, gap) = match from {
            From::Live(sequence) => {
                let lost = self.gone.min(self.evicted);
                (self.index_after(sequence), Some(lost).filter(|&lost| lost > sequence))
            }
            From::After(sequence) => {
                (self.index_after(sequence).max(self.first), Some(self.evicted).filter(|&gone| gone > sequence))
            }
            From::Oldest => (self.first, None),
            From::Last(n) => (self.last_alive(n, now), None),
        };
        let head = self.segment_at(index).and_then(|segment| segment.entry_at(index)).map(|entry| entry.sequence);
        Placed { index, head, gap }
    }

    /// What is at an index.
    pub(super) fn find(&self, index: u64) -> Found {
        if index >= self.next {
            return Found::Nothing;
        }
        match self.segment_at(index) {
            Some(segment) => Found::Segment(Arc::clone(segment)),
            None => Found::Lost { to: self.first, lost: self.lost, evicted: self.evicted },
        }
    }

    /// The index of the first of the last `n` retained events that have not expired.
    fn last_alive(&self, n: usize, now: u64) -> u64 {
        if self.segments.iter().all(|segment| segment.never_expires()) {
            return self.first.max(self.next.saturating_sub(n as u64));
        }
        let is_alive = |&index: &u64| {
            self.segment_at(index).is_some_and(|segment| !segment.is_expired((index - segment.base) as u32, now))
        };
        match n.checked_sub(1) {
            Some(before) => (self.first..self.next).rev().filter(is_alive).nth(before).unwrap_or(self.first),
            None => self.next,
        }
    }

    /// The index of the first event in memory after a sequence.
    fn index_after(&self, sequence: u64) -> u64 {
        if sequence >= self.last {
            return self.next;
        }
        let later = self.segments.partition_point(|segment| {
            let len = segment.len();
            segment.sequence(len.saturating_sub(1)) <= sequence
        });
        match self.segments.get(later) {
            Some(segment) => segment.base + u64::from(segment.place_after(sequence, 0..segment.len())),
            None => self.next,
        }
    }

    fn segment_at(&self, index: u64) -> Option<&Arc<Segment>> {
        let after = self.segments.partition_point(|segment| segment.base <= index);
        self.segments.get(after.checked_sub(1)?)
    }

    /// When the last events came, as far as they are in memory.
    pub(super) fn rhythm(&self) -> Option<Rhythm> {
        let at = |index| Some(self.segment_at(index)?.entry_at(index)?.at);
        let last = self.next.checked_sub(1)?;
        let first = last.saturating_sub(INTERVALS).max(self.segments.front()?.base);
        Some(Rhythm { first: at(first)?, last: at(last)?, intervals: last - first })
    }

    /// Whether nobody would miss the log.
    pub(super) fn is_idle(&self) -> bool {
        self.subscriptions == 0 && self.first == self.next
    }

    /// Ends the log, for whoever drops it from the registry. Returns the sequence of the last event that somebody may
    /// have missed, 0 if there is none: nobody misses what has expired.
    pub(super) fn drop_log(&mut self) -> u64 {
        self.dropped = true;
        self.evicted
    }
}
