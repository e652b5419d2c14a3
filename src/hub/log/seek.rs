use std::sync::Arc;

use crate::contract::Start;
use crate::hub::log::log::{Log, LogState};
use crate::hub::log::segment::Segment;
use crate::model::Overflow;

/// Where in the log a subscription begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StartAt {
    /// After a sequence that is the present: with what is in memory, retained or not.
    Live(u64),
    /// After a sequence of the past: with what is retained.
    After(u64),
    Oldest,
    Last(usize),
    /// At the event with this index, see [`Log::resolve`].
    At(u64),
}

/// Where a subscription was placed.
#[derive(Debug)]
pub(crate) struct StartPoint {
    /// The index of the first event to deliver.
    pub(crate) index: u64,
    /// That event's sequence, if it is there already.
    pub(crate) head: Option<u64>,
    /// The sequence up to which events are gone that it should have had.
    pub(crate) gap: Option<u64>,
}

/// What a reader finds at its index.
#[derive(Debug)]
pub(crate) enum Found {
    /// The segment that holds it.
    Segment(Arc<Segment>),
    /// It is gone, like everything before `to`, the last of which had the sequence `gone`. Of that, what is before
    /// `missed` is missed, and the last of it had the sequence `evicted`; what is from there to `lost` was replaced, for a
    /// reader that conflates; everything from `lost` on had expired before it went.
    Lost { to: u64, gone: u64, missed: u64, lost: u64, evicted: u64 },
    /// It is not published yet.
    Nothing,
}

impl StartAt {
    /// Returns the place of a start that is not a cursor.
    pub(crate) fn start(start: Start, published: u64) -> Self {
        match start {
            Start::Oldest => Self::Oldest,
            Start::Last(n) => Self::Last(n),
            _ => Self::Live(published),
        }
    }

    /// The sequence after which it begins, where that is one for all topics.
    pub(crate) fn after(self) -> Option<u64> {
        match self {
            Self::Live(after) | Self::After(after) => Some(after),
            Self::Oldest | Self::Last(_) | Self::At(_) => None,
        }
    }
}

impl Log {
    /// Returns where a subscription begins, with the index of the first of the last events: of those that have not
    /// expired. They are counted without the log's lock.
    #[inline]
    pub(crate) fn resolve(&self, from: StartAt, now: u64) -> StartAt {
        match from {
            StartAt::Last(events) => self.resolve_last(events, now),
            from => from,
        }
    }

    #[inline(never)]
    fn resolve_last(&self, events: usize, now: u64) -> StartAt {
        let (mut left, mut end) = (events, u64::MAX);
        loop {
            let state = self.state();
            let first = state.first;
            end = end.min(state.next);
            let segment =
                end.checked_sub(1).filter(|_| left > 0 && end > first).and_then(|last| state.segment_at(last));
            let Some(segment) = segment.map(Arc::clone) else {
                return StartAt::At(end);
            };
            drop(state);
            let base = segment.base.max(first);
            // An event that is counted without a look has no time to live.
            let counted = if segment.never_expires() { left.min((end - base) as usize) } else { 0 };
            (left, end) = (left - counted, end - counted as u64);
            for index in (base..end).rev() {
                if left == 0 {
                    break;
                }
                left -= usize::from(!segment.is_expired((index - segment.base) as u32, now));
                end = index;
            }
        }
    }
}

impl LogState {
    /// Where a subscription begins. History must have been evicted to the present before.
    pub(crate) fn place(&self, from: StartAt, overflow: Overflow) -> StartPoint {
        let evicted = self.evicted_for(overflow);
        let (index, gap) = match from {
            StartAt::Live(sequence) => {
                let lost = self.gone.min(evicted);
                (self.index_after(sequence), Some(lost).filter(|&lost| lost > sequence))
            }
            StartAt::After(sequence) => {
                (self.index_after(sequence).max(self.first), Some(evicted).filter(|&gone| gone > sequence))
            }
            StartAt::Oldest => (self.first, None),
            StartAt::Last(n) => (self.next.saturating_sub(n as u64).max(self.first), None),
            StartAt::At(index) => (index.max(self.first), None),
        };
        let head = self.segment_at(index).and_then(|segment| segment.entry_at(index)).map(|entry| entry.sequence);
        StartPoint { index, head, gap }
    }

    /// The same for a replay up to and with a sequence: also the sequence of the last event there is to replay, and how
    /// many there are.
    pub(crate) fn place_up_to(
        &self,
        sequence: u64,
        from: StartAt,
        overflow: Overflow,
    ) -> (StartPoint, Option<(u64, u64)>) {
        let (placed, end) = (self.place(from, overflow), self.index_after(sequence));
        let last = end.checked_sub(1).filter(|&last| last >= placed.index);
        let entry = last.and_then(|last| self.segment_at(last)?.entry_at(last));
        let replay = entry.map(|entry| (entry.sequence, end - placed.index));
        (placed, replay)
    }

    /// What is at an index.
    pub(crate) fn find(&self, index: u64, overflow: Overflow) -> Found {
        if index >= self.next {
            return Found::Nothing;
        }
        match self.segment_at(index) {
            Some(segment) => Found::Segment(Arc::clone(segment)),
            None => self.lost(overflow),
        }
    }

    /// Returns the loss that a reader finds at an index that is not in memory any more.
    #[cold]
    #[inline(never)]
    fn lost(&self, overflow: Overflow) -> Found {
        let (missed, evicted) = self.missed(overflow);
        Found::Lost { to: self.floor(), gone: self.gone, missed, lost: self.history().lost, evicted }
    }

    /// The index of the first event in memory after a sequence.
    fn index_after(&self, sequence: u64) -> u64 {
        if sequence >= self.last() {
            return self.next;
        }
        let later = self.first_that_not(|segment| {
            let len = segment.len();
            segment.sequence(len.saturating_sub(1)) <= sequence
        });
        match later {
            Some(segment) => segment.base + u64::from(segment.place_after(sequence, 0..segment.len())),
            None => self.next,
        }
    }

    pub(crate) fn segment_at(&self, index: u64) -> Option<&Arc<Segment>> {
        self.history().segments.last_that(|segment| segment.base <= index).or_else(|| self.live_at(index))
    }
}
