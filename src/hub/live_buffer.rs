use std::sync::Arc;

use crate::hub::history::spend;
use crate::hub::holds::STRETCH;
use crate::hub::log::{Log, State};
use crate::hub::segment::{Evicted, Segment};

/// The bytes of a segment up to which it is not worth while to replace it by a smaller one.
const SMALL: u64 = 4 * 1024;

impl Log {
    /// Takes the rest out of memory of what is kept for readers only, if no subscription is connected any more. It is added
    /// to `gone`.
    pub(super) fn release_live(&self, gone: &mut Vec<Evicted>) {
        loop {
            let mut released = self.state().release_live();
            if released.is_empty() {
                return;
            }
            gone.append(&mut released);
        }
    }
}

/// Events in memory that are not history.
impl State {
    /// Returns whether a subscription is connected.
    pub(super) fn has_readers(&self) -> bool {
        self.subscriptions + self.replays > 0
    }

    /// Returns whether a subscription may not have read everything before the newest event.
    pub(super) fn is_lagging(&self) -> bool {
        let followers = self.followers.as_ref().map_or(0, |followers| followers.len());
        // Those that a notifier is to wake were registered before the events that it wakes them for.
        self.is_queued || self.waiters.len() + followers < (self.subscriptions + self.replays) as usize
    }

    /// Returns the index of the oldest event in memory.
    pub(super) fn floor(&self) -> u64 {
        let kept = self.kept();
        let live = kept.live.as_ref().and_then(|live| live.segments.oldest());
        live.or(kept.segments.oldest()).map_or(self.next, |oldest| oldest.base)
    }

    /// Returns the segment of the live buffer that holds the event at an index before history's segments.
    #[cold]
    #[inline(never)]
    pub(super) fn live_at(&self, index: u64) -> Option<&Arc<Segment>> {
        self.kept().live.as_ref()?.segments.last_that(|segment| segment.base <= index)
    }

    /// Returns the first segment in memory for which this is not so, as it is for all before that.
    pub(super) fn first_that_not(&self, is_so: impl Fn(&Segment) -> bool) -> Option<&Arc<Segment>> {
        let kept = self.kept();
        let is_so = |segment: &Arc<Segment>| is_so(segment);
        let live = kept.live.as_ref().and_then(|live| live.segments.first_that_not(is_so));
        live.or_else(|| kept.segments.first_that_not(is_so))
    }

    /// Takes the oldest segment out of history, which has left it whole: into the live buffer, if a reader may need it.
    pub(super) fn retire(&mut self, log: &Log, now: u64, gone: &mut Vec<Evicted>) {
        let is_needed = self.is_lagging() && log.pool.live_buffer > 0;
        let Some(segment) = self.kept_mut().take_oldest() else {
            return;
        };
        let kept = self.kept_mut();
        if !is_needed && kept.live.is_none() {
            self.leave_memory(&segment, segment.len(), now);
            gone.push(Evicted::new(segment));
            return;
        }
        let live = kept.live.get_or_insert_default();
        live.bytes += segment.charged();
        live.segments.push(segment);
    }

    /// Takes out of the live buffer what exceeds its limit; all of it, if every reader has read it. As far as `left` goes,
    /// as [`evict`](Self::evict) does.
    #[cold]
    pub(super) fn trim_live(&mut self, log: &Arc<Log>, now: u64, left: &mut usize, gone: &mut Vec<Evicted>) {
        let limit = if self.is_lagging() { log.pool.live_buffer } else { 0 };
        let is_over = |state: &Self| {
            let kept = state.kept();
            kept.live
                .as_ref()
                .is_some_and(|live| live.bytes + kept.held > limit || !log.pool.budget.has_room_but_for_others(0))
        };
        while is_over(self) && spend(left, self.oldest_live()) {
            gone.extend(self.pop_live(now).map(Evicted::new));
        }
        if self.kept().live.is_some() {
            // Each publish then checks whether the readers have read it.
            self.kept_mut().due = 0;
            self.offer(log);
        }
    }

    /// Returns the looks that the oldest segment of the live buffer takes to leave memory.
    fn oldest_live(&self) -> u32 {
        let live = self.kept().live.as_ref();
        live.and_then(|live| live.segments.oldest()).map_or(0, |oldest| self.looks(oldest, oldest.len()))
    }

    /// Takes out of memory what is kept for readers only, if no subscription is connected any more, as far as one hold of
    /// the lock goes. The next sweep does more.
    #[inline]
    pub(super) fn release_live(&mut self) -> Vec<Evicted> {
        let kept = self.kept();
        let has_more = kept.live.is_some() || kept.segments.oldest().is_some_and(|oldest| oldest.base < self.first);
        if has_more && !self.has_readers() { self.release() } else { Vec::new() }
    }

    #[cold]
    fn release(&mut self) -> Vec<Evicted> {
        let (mut gone, mut left) = (Vec::new(), STRETCH);
        while self.kept().live.is_some() && spend(&mut left, self.oldest_live()) {
            gone.extend(self.pop_live(0).map(Evicted::new));
        }
        if self.kept().live.is_none() {
            gone.extend(self.end_burst(0));
        }
        gone
    }

    /// Puts a smaller segment in the place of history's oldest, if that was begun for a reader that was behind, and most of
    /// it has left history. If readers hold it, the next event begins another.
    pub(super) fn end_burst(&mut self, now: u64) -> Option<Evicted> {
        let kept = self.kept.as_deref_mut()?;
        let front = kept.segments.oldest()?;
        let is_large = front.charged() > SMALL + 2 * kept.bytes as u64;
        let past = self.first.saturating_sub(front.base);
        if !is_large || front.end() > self.first + past || self.is_lagging() {
            return None;
        }
        let kept = self.kept.as_deref_mut()?;
        let (front, is_newest) = (kept.segments.oldest()?, !kept.segments.has_older());
        if is_newest {
            kept.tail.seal();
        }
        if Arc::strong_count(front) > 1 || front.end() <= self.first {
            return None;
        }
        let fresh = front.from(past as u32);
        if is_newest {
            front.seal(Arc::downgrade(&fresh));
        }
        kept.held += fresh.charged();
        let old = kept.segments.replace_oldest(fresh)?;
        kept.held -= old.charged();
        self.leave_memory(&old, past as u32, now);
        Some(Evicted::new(old))
    }

    /// Takes the oldest segment of the live buffer out.
    pub(super) fn pop_live(&mut self, now: u64) -> Option<Arc<Segment>> {
        let kept = self.kept.as_deref_mut()?;
        let live = kept.live.as_mut()?;
        let segment = live.segments.pop()?;
        live.bytes -= segment.charged();
        if live.segments.is_empty() {
            kept.live = None;
        }
        self.leave_memory(&segment, segment.len(), now);
        Some(segment)
    }

    /// Returns whether there is a segment in memory of which retention promises no event.
    pub(super) fn has_surplus(&self) -> bool {
        let kept = self.kept();
        kept.live.is_some() || (self.first == self.next && !kept.segments.is_empty())
    }

    /// Puts the log among those that give way before history does.
    #[inline]
    pub(super) fn offer(&mut self, log: &Log) {
        if !self.is_offered {
            self.is_offered = true;
            log.pool.by_size.offer(log.slot);
        }
    }
}
