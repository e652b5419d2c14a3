use std::sync::{Arc, Weak};

use crate::hub::appended::Relief;
use crate::hub::footprint;
use crate::hub::log::{Follower, Log, State};
use crate::hub::segment::{Evicted, Segment, expires, nanos};
use crate::hub::sizes::Place;
use crate::hub::tail::Tail;
use crate::model::Retention;

/// The oldest event retained, as far as its eviction goes.
struct Oldest {
    sequence: u64,
    at: u64,
    weight: usize,
    /// When its own time is up.
    expires: u64,
    has_key: bool,
}

/// Eviction of events from history and from memory.
impl State {
    /// Moves the start of history to where the retention allows, and past what has expired there. Returns the segments
    /// that are not in memory any more. The newest one stays for readers that keep up, others within the live buffer for
    /// readers that are behind.
    pub(super) fn evict(&mut self, log: &Arc<Log>, now: u64) -> Vec<Evicted> {
        let (mut gone, retention) = (Vec::new(), &*log.retention);
        if now < self.kept().due && !self.has_too_much(retention) {
            return gone;
        }
        let age = nanos(retention.age);
        loop {
            while self.kept().segments.has_older() && self.front().is_some_and(|front| front.end() <= self.first) {
                self.retire(log, now, &mut gone);
            }
            let Some(oldest) = self.oldest() else {
                if self.has_readers() && self.has_surplus() {
                    self.offer(log);
                }
                break;
            };
            let due = oldest.at.saturating_add(age).min(oldest.expires);
            if now < due && !self.has_too_much(retention) {
                self.kept_mut().due = due;
                break;
            }
            self.forget(&oldest, now);
        }
        if self.kept().live.is_some() {
            self.trim_live(log, now, &mut gone);
        }
        gone
    }

    /// Whether history is larger than the retention allows.
    fn has_too_much(&self, retention: &Retention) -> bool {
        self.next - self.first > retention.count as u64 || self.kept().bytes > retention.bytes
    }

    /// Evicts the oldest segment in memory. If it is the newest, the waiting readers are to be woken, and release it.
    pub(super) fn evict_oldest(&mut self, log: &Log, now: u64) -> Option<Relief> {
        let relief =
            |segment| Relief { evicted: Evicted::new(segment), wakers: Vec::new(), followers: Vec::new(), idle: false };
        if let Some(segment) = self.pop_live(now) {
            return Some(relief(segment));
        }
        let (end, first) = (self.front()?.end(), self.first);
        while let Some(oldest) = self.oldest().filter(|_| self.first < end) {
            self.forget(&oldest, now);
        }
        // An event of a pattern's log is counted in its topic's log.
        if !self.is_feed {
            log.budget.evicted.add(self.first - first);
        }
        let segment = self.take_last(log, now)?;
        let (mut wakers, mut followers) = (Vec::new(), Vec::new());
        if self.kept().segments.is_empty() {
            self.kept_mut().tail = Tail::NONE;
            segment.seal(Weak::new(), &log.budget);
            wakers = self.waiters.take();
            followers = self.followers.as_mut().map(|followers| followers.take()).unwrap_or_default();
            // Before anybody can append: an event that found its follower neither here nor marked would be delivered late.
            wakers.extend(followers.iter().flatten().map(Follower::mark));
        }
        Some(Relief { wakers, followers, idle: self.is_idle(), ..relief(segment) })
    }

    /// The oldest event is not in history any more.
    fn forget(&mut self, oldest: &Oldest, now: u64) {
        let is_replaced = oldest.has_key
            && self.front().is_some_and(|front| self.is_replaced(front, (self.first - front.base) as u32));
        self.first += 1;
        let kept = self.kept_mut();
        kept.bytes -= oldest.weight;
        kept.due = 0;
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

    /// The events of the oldest segment before the place `end` are taken out of memory.
    pub(super) fn leave_memory(&mut self, segment: &Segment, end: u32, now: u64) {
        self.gone = segment.sequence(end.saturating_sub(1));
        let kept = self.kept_mut();
        if let Some(newest) = &mut kept.newest {
            newest.forget(segment, end);
        }
        let mut lost = (0..end).rev().filter(|&place| !segment.is_expired(place, now)).peekable();
        if let Some(&lost) = lost.peek() {
            kept.lost = segment.base + u64::from(lost) + 1;
            kept.lost_sequence = segment.sequence(lost);
        }
        if let Some(unreplaced) = lost.find(|&place| !self.is_replaced(segment, place)) {
            let kept = self.kept_mut();
            kept.unreplaced = segment.base + u64::from(unreplaced) + 1;
            kept.unreplaced_sequence = segment.sequence(unreplaced);
        }
    }

    /// Takes the last segment out.
    fn take_last(&mut self, log: &Log, now: u64) -> Option<Arc<Segment>> {
        let kept = self.kept.as_deref_mut()?;
        let segment = kept.take_oldest()?;
        if kept.segments.is_empty() {
            kept.held -= footprint::topic(&log.name) as u64;
            log.budget.sub_topic(footprint::topic(&log.name));
        }
        self.leave_memory(&segment, segment.len(), now);
        Some(segment)
    }

    /// Ends the log, which is dropped from the registry. Returns the sequence of the last event that a subscription may
    /// have missed (0: none; expired events do not count), and the segments that were left for readers.
    pub(super) fn drop_log(&mut self, log: &Log) -> (u64, Vec<Evicted>) {
        self.dropped = true;
        let mut left: Vec<_> = std::iter::from_fn(|| self.pop_live(0)).map(Evicted::new).collect();
        left.extend(std::iter::from_fn(|| self.take_last(log, 0)).map(Evicted::new));
        self.file(log, Place::Last);
        log.budget.sizes.remove(log.slot);
        (self.evicted, left)
    }
}
