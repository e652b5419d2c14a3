use std::sync::{Arc, Weak};
use std::task::Waker;

use crate::hub::budget::footprint;
use crate::hub::budget::logs_by_size::FileAt;
use crate::hub::budget::rank::Rank;
use crate::hub::holds::{STRETCH, count_steps};
use crate::hub::log::history::History;
use crate::hub::log::log::{Follower, Log, LogState};
use crate::hub::log::segment::{FreedSegment, Segment, expires, nanos};
use crate::hub::log::segment_queue::SegmentQueue;
use crate::hub::log::segment_sizing::SegmentSizing;
use crate::hub::sync::MutexGuard;
use crate::hub::wake::late_marks::Marking;
use crate::model::Retention;

/// Largest number of events that one hold of a log's lock looks at for eviction. A segment leaves memory as a whole, so
/// this is more than its 256 events: each publish also makes at least one event leave history.
pub(crate) const EVICTED: usize = STRETCH + 32;

/// Result of a sweep of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swept {
    /// There may be more to evict.
    Partly,
    Whole,
    /// Nothing is left, and the log is to be released.
    Idle,
}

/// Evicted segment, and the work that its eviction leaves for the time after the lock is released.
#[derive(Debug)]
pub(crate) struct Eviction<'a> {
    pub(crate) evicted: FreedSegment,
    /// Wakers of subscriptions that wait with the segment in hand. They release it when they are polled.
    pub(crate) wakers: Vec<Option<Waker>>,
    /// Subscriptions of several topics among them, whose inboxes are to be marked.
    pub(crate) followers: Vec<Option<Follower>>,
    pub(crate) marking: Option<Marking<'a>>,
    pub(crate) idle: bool,
}

/// Values of the oldest retained event that its eviction needs.
struct Oldest {
    sequence: u64,
    at: u64,
    weight: usize,
    /// Time at which it expires.
    expires: u64,
    has_key: bool,
}

/// Takes a number of looks from those that are left. Returns `false`, and leaves none, if fewer are left.
#[inline]
pub(crate) fn spend(left: &mut usize, looks: u32) -> bool {
    let rest = left.checked_sub(looks as usize);
    *left = rest.unwrap_or(0);
    rest.is_some()
}

impl Log {
    /// Locks the log after history is evicted up to the present: in steps, between which the evicted segments are
    /// dropped.
    pub(crate) fn present(self: &Arc<Self>, now: u64) -> MutexGuard<'_, LogState> {
        loop {
            let (mut state, mut left) = (self.state(), EVICTED);
            let freed = state.evict(self, now, &mut left);
            state.trim_state(now, &mut left);
            if left > 0 && freed.is_empty() {
                return state;
            }
            drop(state);
            drop(freed);
        }
    }

    /// Evicts the oldest segment, also if it is the newest. Returns `None` if there is none. Files the log again, and
    /// returns `None`, if it holds less than it was filed with or has had a subscription since.
    pub(crate) fn evict_oldest(self: &Arc<Self>, now: u64) -> Option<Eviction<'_>> {
        let mut state = self.live()?;
        let is_followed_since = state.rank() == Rank::Followed && state.rank != Rank::Followed;
        let is_misfiled = state.history().held < state.history().filed || is_followed_since;
        let eviction = if is_misfiled { None } else { state.evict_oldest(self, now) };
        let place = match (state.subscriptions == 0 && !state.is_pattern, &eviction) {
            (true, Some(_)) => FileAt::Stays,
            (true, None) => FileAt::First,
            (false, _) if is_followed_since => FileAt::First,
            (false, _) => FileAt::Last,
        };
        state.file(self, place);
        eviction
    }

    /// Evicts the oldest segment if retention promises nothing of it.
    pub(crate) fn evict_surplus(self: &Arc<Self>, now: u64) -> Option<Eviction<'_>> {
        let mut state = self.live()?;
        state.is_offered = false;
        let held = state.history().held;
        let eviction = if state.has_surplus() { state.evict_oldest(self, now) } else { None };
        if state.has_surplus() {
            state.offer(self);
        }
        if state.history().held != held {
            state.file(self, FileAt::Last);
        }
        eviction
    }

    /// Evicts the events that retention does not keep, as far as one hold of the lock allows. Adds the evicted segments
    /// to `freed`, to be dropped later.
    pub(crate) fn sweep(self: &Arc<Self>, now: u64, freed: &mut Vec<FreedSegment>) -> Swept {
        let (mut state, mut left) = (self.state(), EVICTED);
        freed.append(&mut state.evict(self, now, &mut left));
        state.trim_state(now, &mut left);
        let released = state.release_live();
        if left == 0 || !released.is_empty() {
            freed.extend(released);
            return Swept::Partly;
        }
        freed.extend(state.end_burst(now));
        if state.is_idle() { Swept::Idle } else { Swept::Whole }
    }
}

/// Eviction of events from history and from memory.
impl LogState {
    /// Moves the start of history past the events that retention does not keep and those that have expired there, by at
    /// most `left` events. `left` is 0 afterwards if there may be more to do. Returns the segments that have left
    /// memory. The newest segment stays for readers that keep up, others within the live buffer for readers that are
    /// behind.
    pub(crate) fn evict(&mut self, log: &Arc<Log>, now: u64, left: &mut usize) -> Vec<FreedSegment> {
        let mut freed = Vec::new();
        if now < self.history().due && !self.has_too_much(&self.retention) {
            return freed;
        }
        let retention = *self.retention;
        let age = nanos(retention.age);
        loop {
            while let Some(looks) = self.past_segment() {
                if !spend(left, looks) {
                    self.history_mut().due = 0;
                    return freed;
                }
                self.retire(log, now, &mut freed);
            }
            let Some(oldest) = self.oldest() else {
                if self.has_readers() && self.has_surplus() {
                    self.offer(log);
                }
                break;
            };
            let due = oldest.at.saturating_add(age).min(oldest.expires);
            if now < due && !self.has_too_much(&retention) {
                self.history_mut().due = due;
                break;
            }
            if !spend(left, 1) {
                break;
            }
            self.forget(&oldest, now);
        }
        if self.history().live.is_some() {
            self.trim_live(log, now, left, &mut freed);
        }
        freed
    }

    /// Forgets the removals of a keyed topic that its limits do not keep, as far as `left` allows.
    #[inline]
    fn trim_state(&mut self, now: u64, left: &mut usize) {
        let evicted = self.evicted;
        if let (Some(limits), Some(history)) = (self.retention.state, &mut self.history) {
            history.state.iter_mut().for_each(|state| state.trim(limits, evicted, now, left));
        }
    }

    /// Returns the number of looks that the oldest segment takes to leave memory, if all of it has left history and it
    /// is not the newest.
    #[inline]
    fn past_segment(&self) -> Option<u32> {
        let is_past = |front: &&Arc<Segment>| front.end() <= self.first;
        let front = self.front().filter(|_| self.history().segments.has_older()).filter(is_past)?;
        Some(self.looks(front, front.len()))
    }

    /// Returns the number of events that are looked at when those of a segment before the place `end` leave memory:
    /// one, or each of them where events expire or are replaced.
    pub(crate) fn looks(&self, segment: &Segment, end: u32) -> u32 {
        let is_plain = segment.never_expires() && !self.conflates && segment.key(end.saturating_sub(1)).is_none();
        if is_plain { end.min(1) } else { end }
    }

    /// Returns whether history is larger than the retention allows.
    fn has_too_much(&self, retention: &Retention) -> bool {
        self.next - self.first > retention.count as u64 || self.history().bytes > retention.bytes
    }

    /// Evicts the oldest segment in memory. If it is the newest, the waiting readers are to be woken, and release it.
    pub(crate) fn evict_oldest<'a>(&mut self, log: &'a Arc<Log>, now: u64) -> Option<Eviction<'a>> {
        let eviction = |segment| Eviction {
            evicted: FreedSegment::new(segment),
            wakers: Vec::new(),
            followers: Vec::new(),
            marking: None,
            idle: false,
        };
        if let Some(segment) = self.pop_live(now) {
            return Some(eviction(segment));
        }
        let (end, first) = (self.front()?.end(), self.first);
        while let Some(oldest) = self.oldest().filter(|_| self.first < end) {
            self.forget(&oldest, now);
        }
        // An event of a pattern's log is counted in its topic's log.
        if !self.is_pattern {
            log.pool.budget.evicted.add(self.first - first);
        }
        let segment = self.take_last(log, now)?;
        let (mut wakers, mut followers, mut marking) = (Vec::new(), Vec::new(), None);
        if self.history().segments.is_empty() {
            self.history_mut().sizing = SegmentSizing::NONE;
            segment.seal(Weak::new());
            wakers = self.waiters.take();
            followers = self.followers.as_mut().map(|followers| followers.take()).unwrap_or_default();
            // Before another event is appended: an event that finds its follower neither here nor marked would be
            // delivered late.
            marking = (!followers.is_empty()).then(|| log.pool.late_marks.enter(vec![log.slot]));
        }
        Some(Eviction { wakers, followers, marking, idle: self.is_idle(), ..eviction(segment) })
    }

    /// Moves the start of history past the oldest event.
    fn forget(&mut self, oldest: &Oldest, now: u64) {
        let is_replaced = oldest.has_key
            && self.front().is_some_and(|front| self.is_replaced(front, (self.first - front.base) as u32));
        self.first += 1;
        count_steps(1);
        let history = self.history_mut();
        history.bytes -= oldest.weight;
        history.due = 0;
        if now < oldest.expires {
            self.evicted = oldest.sequence;
            self.unreplaced = if is_replaced { self.unreplaced } else { oldest.sequence };
        }
    }

    fn oldest(&self) -> Option<Oldest> {
        let entry = self.front()?.entry_at(self.first)?;
        Some(Oldest {
            sequence: entry.sequence,
            at: entry.at,
            weight: entry.event.weight(),
            expires: expires(entry).unwrap_or(u64::MAX),
            has_key: entry.event.key().is_some(),
        })
    }

    /// Notes that the events of the oldest segment before the place `end` leave memory.
    pub(crate) fn leave_memory(&mut self, segment: &Segment, end: u32, now: u64) {
        self.gone = segment.sequence(end.saturating_sub(1));
        count_steps(self.looks(segment, end) as usize);
        let history = self.history_mut();
        if let Some(newest) = &mut history.latest {
            newest.forget(segment, end);
        }
        let mut lost = (0..end).rev().filter(|&place| !segment.is_expired(place, now)).peekable();
        if let Some(&lost) = lost.peek() {
            history.lost = segment.base + u64::from(lost) + 1;
            history.lost_sequence = segment.sequence(lost);
        }
        if let Some(unreplaced) = lost.find(|&place| !self.is_replaced(segment, place)) {
            let history = self.history_mut();
            history.unreplaced = segment.base + u64::from(unreplaced) + 1;
            history.unreplaced_sequence = segment.sequence(unreplaced);
        }
    }

    /// Takes out the oldest segment, which may be the last one.
    fn take_last(&mut self, log: &Log, now: u64) -> Option<Arc<Segment>> {
        let history = self.history.as_deref_mut()?;
        let segment = history.take_oldest()?;
        if history.segments.is_empty() {
            history.held -= footprint::topic(&log.name) as u64;
            log.pool.budget.sub_topic(footprint::topic(&log.name));
        }
        self.leave_memory(&segment, segment.len(), now);
        Some(segment)
    }

    /// Ends the log, which is removed from the registry. Returns the sequence of the last event that a subscription may
    /// have missed, not counting expired ones (0: none), and the segments that were left for readers.
    pub(crate) fn drop_log(&mut self, log: &Log) -> (u64, Option<DroppedSegments>) {
        self.dropped = true;
        log.refuses.set(true);
        if let Some(history) = self.history.as_mut() {
            if !history.segments.is_empty() {
                log.pool.budget.sub_topic(footprint::topic(&log.name));
            }
            history.held = 0;
        }
        self.file(log, FileAt::Last);
        log.pool.by_size.remove(log.slot);
        (self.evicted, self.history.take().map(DroppedSegments))
    }
}

/// Segments of a log that is dropped. Dropped outside of the locks, as [`FreedSegment`] is.
pub(crate) struct DroppedSegments(Box<History>);

impl Drop for DroppedSegments {
    fn drop(&mut self) {
        let live = self.0.live.take();
        let mut live = live.map(|live| live.segments).unwrap_or_else(SegmentQueue::new);
        let segments = std::iter::from_fn(|| live.pop().or_else(|| self.0.segments.pop()));
        segments.for_each(|segment| drop(FreedSegment::new(segment)));
    }
}
