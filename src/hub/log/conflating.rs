use std::collections::VecDeque;
use std::sync::Arc;

use crate::hub::holds::{STRETCH, count_steps};
use crate::hub::log::latest_by_key::LatestByKey;
use crate::hub::log::log::{Log, LogState};
use crate::hub::log::segment::Segment;
use crate::model::{Event, Overflow};

/// Number of rounds in which the first conflating subscription marks newer events without the log's lock.
const ROUNDS: u32 = 4;

/// Events of a log that are being marked without the log's lock.
#[derive(Default)]
struct Backlog {
    /// Segments with the events, oldest first.
    segments: VecDeque<Arc<Segment>>,
    newest: LatestByKey,
    /// Index before which all events are marked.
    end: u64,
}

impl Log {
    /// Begins to mark the events that newer ones of their keys replace, those in memory included. Returns whether it
    /// had not begun.
    ///
    /// The events in memory are marked without the log's lock, segment by segment. The few events that were published
    /// meanwhile are then marked under the lock, and from then on each publish marks. A mark stays valid: an event that
    /// was replaced is never the newest of its key again.
    pub(crate) fn conflate(&self) -> bool {
        let mut backlog = Backlog::default();
        let (mut rounds, mut goal) = (0, 0);
        loop {
            let mut state = self.state();
            if state.conflates {
                return false;
            }
            let floor = state.floor();
            backlog.end = backlog.end.max(floor);
            let gone = backlog.departed(floor);
            if gone.iter().map(|gone| gone.len() as usize).sum::<usize>() > STRETCH {
                drop(state);
                gone.iter().for_each(|gone| backlog.forget(gone, floor));
                continue;
            }
            if state.next - backlog.end <= STRETCH as u64 / 2 {
                gone.iter().for_each(|gone| backlog.forget(gone, floor));
                state.mark_backlog(&mut backlog);
                // Before the segments are dropped: their events are the user's.
                drop(state);
                return true;
            }
            if backlog.end >= goal {
                (rounds, goal) = (rounds + 1, state.next);
            }
            let segment = state.segment_at(backlog.end).map(Arc::clone);
            // The lock is held if events are published faster than they are marked here.
            let held = (rounds > ROUNDS).then_some(state);
            gone.iter().for_each(|gone| backlog.forget(gone, floor));
            segment.iter().for_each(|segment| backlog.mark(segment));
            drop(held);
        }
    }
}

impl Backlog {
    /// Takes out the segments whose events have left memory.
    fn departed(&mut self, floor: u64) -> Vec<Arc<Segment>> {
        let is_gone = |segment: &Arc<Segment>| segment.end() <= floor;
        let gone = self.segments.iter().take(STRETCH).take_while(|segment| is_gone(segment)).count();
        count_steps(gone);
        self.segments.drain(..gone).collect()
    }

    /// Forgets the events of a segment before an index, which have left memory.
    fn forget(&mut self, segment: &Segment, floor: u64) {
        let end = floor.saturating_sub(segment.base).min(segment.len().into());
        count_steps(end as usize);
        self.newest.forget(segment, end as u32);
    }

    /// Marks the events that those of a segment replace, up to its end at this moment.
    fn mark(&mut self, segment: &Arc<Segment>) {
        let (start, end) = (self.end.saturating_sub(segment.base) as u32, segment.len());
        if self.segments.back().is_none_or(|last| !Arc::ptr_eq(last, segment)) {
            self.segments.push_back(Arc::clone(segment));
        }
        for place in start..end {
            count_steps(1);
            let index = segment.base + u64::from(place);
            let replaced = segment.key(place).and_then(|key| self.newest.put(&key, index));
            if let Some((replaced, newer)) = replaced.zip(segment.entry(place)) {
                self.replace_by(&newer.event, replaced);
            }
        }
        self.end = segment.base + u64::from(end);
    }

    fn replace_by(&self, newer: &Event, index: u64) {
        let after = self.segments.partition_point(|segment| segment.base <= index);
        let segment = after.checked_sub(1).and_then(|at| self.segments.get(at));
        segment.into_iter().for_each(|segment| segment.replace_by(newer, index));
    }
}

/// Marks of replaced events, for subscriptions that [conflate](Overflow::Latest).
impl LogState {
    /// Marks the rest of a backlog, and takes over its newest event of each key.
    fn mark_backlog(&mut self, backlog: &mut Backlog) {
        while backlog.end < self.next {
            let Some(segment) = self.segment_at(backlog.end).map(Arc::clone) else {
                break;
            };
            backlog.mark(&segment);
        }
        let floor = self.floor();
        if let Some(old) = backlog.segments.front().map(Arc::clone) {
            backlog.forget(&old, floor);
            // The oldest segment may have been replaced by a smaller one that does not have all marks.
            let oldest = self.segment_at(floor).filter(|oldest| !Arc::ptr_eq(oldest, &old));
            oldest.into_iter().for_each(|oldest| oldest.copy_marks(&old));
        }
        self.conflates = true;
        // Many topics have one event.
        if self.next - floor > 1 {
            self.history_mut().latest = Some(Box::new(std::mem::take(&mut backlog.newest)));
        }
    }

    /// Marks the event that the newest one, at `index`, replaces. The first call marks all events in memory if there
    /// are several: many topics have one event.
    pub(crate) fn mark_replaced(&mut self, index: u64) {
        let (floor, known) = (self.floor(), self.history_mut().latest.take());
        let start = if known.is_some() { index } else { floor };
        if known.is_none() && start >= index {
            return;
        }
        let mut newest = known.unwrap_or_default();
        for index in start..=index {
            count_steps(1);
            let Some(segment) = self.segment_at(index) else {
                continue;
            };
            let place = (index - segment.base) as u32;
            let replaced = segment.key(place).and_then(|key| newest.put(&key, index));
            if let Some((replaced, newer)) = replaced.zip(segment.entry(place)) {
                self.segment_at(replaced).into_iter().for_each(|segment| segment.replace_by(&newer.event, replaced));
            }
        }
        self.history_mut().latest = Some(newest);
    }

    /// Returns whether a newer event of its key follows the event in this place. If nothing is marked, only the newest
    /// event is compared, which is enough for a topic with one key.
    pub(crate) fn is_replaced(&self, segment: &Segment, place: u32) -> bool {
        if self.conflates {
            return segment.is_replaced(place);
        }
        let Some((newest, key)) = self.history().segments.newest().zip(segment.key(place)) else {
            return false;
        };
        segment.base + u64::from(place) + 1 < newest.end() && newest.key(newest.len().saturating_sub(1)) == Some(key)
    }

    /// Returns the sequence of the newest event that left history and is missed by a reader that has not read it. A
    /// reader that conflates does not miss replaced events.
    pub(crate) fn evicted_for(&self, overflow: Overflow) -> u64 {
        match overflow {
            Overflow::Latest => self.unreplaced,
            Overflow::Gap | Overflow::Disconnect => self.evicted,
        }
    }

    /// Returns the index after the newest event that left memory and is missed by such a reader, and the sequence of
    /// the event.
    pub(crate) fn missed(&self, overflow: Overflow) -> (u64, u64) {
        let history = self.history();
        match overflow {
            Overflow::Latest => (history.unreplaced, history.unreplaced_sequence),
            Overflow::Gap | Overflow::Disconnect => (history.lost, history.lost_sequence),
        }
    }
}
