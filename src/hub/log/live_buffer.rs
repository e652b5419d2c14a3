use std::sync::Arc;

use crate::hub::holds::STRETCH;
use crate::hub::log::eviction::spend;
use crate::hub::log::log::{Log, LogState};
use crate::hub::log::segment::{FreedSegment, Segment};

/// Bytes of a segment up to which it is not replaced by a smaller one.
const SMALL: u64 = 4 * 1024;

impl Log {
    /// Takes the events that are kept for readers only out of memory, if no subscription is connected. Adds their
    /// segments to `freed`.
    pub(crate) fn release_live(&self, freed: &mut Vec<FreedSegment>) {
        loop {
            let mut released = self.state().release_live();
            if released.is_empty() {
                return;
            }
            freed.append(&mut released);
        }
    }
}

/// Events in memory that are not history.
impl LogState {
    /// Returns whether a subscription is connected.
    pub(crate) fn has_readers(&self) -> bool {
        self.subscriptions + self.backfills > 0
    }

    /// Returns whether a subscription may not have read everything before the newest event.
    pub(crate) fn is_lagging(&self) -> bool {
        let followers = self.followers.as_ref().map_or(0, |followers| followers.len());
        // Waiters that are queued for a notifier were registered before the events for which it wakes them.
        self.is_queued || self.waiters.len() + followers < (self.subscriptions + self.backfills) as usize
    }

    /// Returns the index of the oldest event in memory.
    pub(crate) fn floor(&self) -> u64 {
        let history = self.history();
        let live = history.live.as_ref().and_then(|live| live.segments.oldest());
        live.or(history.segments.oldest()).map_or(self.next, |oldest| oldest.base)
    }

    /// Returns the segment of the live buffer that holds the event at an index before history's segments.
    #[cold]
    #[inline(never)]
    pub(crate) fn live_at(&self, index: u64) -> Option<&Arc<Segment>> {
        self.history().live.as_ref()?.segments.last_that(|segment| segment.base <= index)
    }

    /// Returns the first segment in memory for which the condition does not hold, as it does for all before it.
    pub(crate) fn first_that_not(&self, is_so: impl Fn(&Segment) -> bool) -> Option<&Arc<Segment>> {
        let history = self.history();
        let is_so = |segment: &Arc<Segment>| is_so(segment);
        let live = history.live.as_ref().and_then(|live| live.segments.first_that_not(is_so));
        live.or_else(|| history.segments.first_that_not(is_so))
    }

    /// Takes the oldest segment out of history, which it has left as a whole. Puts it into the live buffer if a reader
    /// may need it.
    pub(crate) fn retire(&mut self, log: &Log, now: u64, freed: &mut Vec<FreedSegment>) {
        let is_needed = self.is_lagging() && log.pool.live_buffer > 0;
        let Some(segment) = self.history_mut().take_oldest() else {
            return;
        };
        let history = self.history_mut();
        if !is_needed && history.live.is_none() {
            self.leave_memory(&segment, segment.len(), now);
            freed.push(FreedSegment::new(segment));
            return;
        }
        let live = history.live.get_or_insert_default();
        live.bytes += segment.charged();
        live.segments.push(segment);
    }

    /// Takes segments beyond the limit out of the live buffer, or all of them if every reader has read them. Limited by
    /// `left`, as [`evict`](Self::evict) is.
    #[cold]
    pub(crate) fn trim_live(&mut self, log: &Arc<Log>, now: u64, left: &mut usize, freed: &mut Vec<FreedSegment>) {
        let limit = if self.is_lagging() { log.pool.live_buffer } else { 0 };
        let is_over = |state: &Self| {
            let history = state.history();
            history
                .live
                .as_ref()
                .is_some_and(|live| live.bytes + history.held > limit || log.pool.budget.is_over_limit())
        };
        while is_over(self) && spend(left, self.oldest_live()) {
            freed.extend(self.pop_live(now).map(FreedSegment::new));
        }
        if self.history().live.is_some() {
            // Each publish then checks whether the readers have read it.
            self.history_mut().due = 0;
            self.offer(log);
        }
    }

    /// Returns the number of looks that the oldest segment of the live buffer takes to leave memory.
    fn oldest_live(&self) -> u32 {
        let live = self.history().live.as_ref();
        live.and_then(|live| live.segments.oldest()).map_or(0, |oldest| self.looks(oldest, oldest.len()))
    }

    /// Takes events that are kept for readers only out of memory, if no subscription is connected, as far as one hold
    /// of the lock allows. The next sweep continues.
    #[inline]
    pub(crate) fn release_live(&mut self) -> Vec<FreedSegment> {
        let history = self.history();
        let has_more =
            history.live.is_some() || history.segments.oldest().is_some_and(|oldest| oldest.base < self.first);
        if has_more && !self.has_readers() { self.release() } else { Vec::new() }
    }

    #[cold]
    fn release(&mut self) -> Vec<FreedSegment> {
        let (mut freed, mut left) = (Vec::new(), STRETCH);
        while self.history().live.is_some() && spend(&mut left, self.oldest_live()) {
            freed.extend(self.pop_live(0).map(FreedSegment::new));
        }
        if self.history().live.is_none() {
            freed.extend(self.end_burst(0));
        }
        freed
    }

    /// Replaces the oldest segment of history by a smaller one, if it was begun for a reader that was behind and most
    /// of it has left history. If readers hold it, the next event begins another segment.
    pub(crate) fn end_burst(&mut self, now: u64) -> Option<FreedSegment> {
        let history = self.history.as_deref_mut()?;
        let front = history.segments.oldest()?;
        let is_large = front.charged() > SMALL + 2 * history.bytes as u64;
        let past = self.first.saturating_sub(front.base);
        if !is_large || front.end() > self.first + past || self.is_lagging() {
            return None;
        }
        let history = self.history.as_deref_mut()?;
        let (front, is_newest) = (history.segments.oldest()?, !history.segments.has_older());
        if is_newest {
            history.sizing.seal();
        }
        if Arc::strong_count(front) > 1 || front.end() <= self.first {
            return None;
        }
        let fresh = front.from(past as u32);
        if is_newest {
            front.seal(Arc::downgrade(&fresh));
        }
        history.held += fresh.charged();
        let old = history.segments.replace_oldest(fresh)?;
        history.held -= old.charged();
        self.leave_memory(&old, past as u32, now);
        Some(FreedSegment::new(old))
    }

    /// Takes the oldest segment out of the live buffer.
    pub(crate) fn pop_live(&mut self, now: u64) -> Option<Arc<Segment>> {
        let history = self.history.as_deref_mut()?;
        let live = history.live.as_mut()?;
        let segment = live.segments.pop()?;
        live.bytes -= segment.charged();
        if live.segments.is_empty() {
            history.live = None;
        }
        self.leave_memory(&segment, segment.len(), now);
        Some(segment)
    }

    /// Returns whether there is a segment in memory of which retention promises no event.
    pub(crate) fn has_surplus(&self) -> bool {
        let history = self.history();
        history.live.is_some() || (self.first == self.next && !history.segments.is_empty())
    }

    /// Offers the log for eviction before history.
    #[inline]
    pub(crate) fn offer(&mut self, log: &Log) {
        if !self.is_offered {
            self.is_offered = true;
            log.pool.by_size.offer(log.slot);
        }
    }
}
