use std::sync::Arc;

use crate::contract::Start;
use crate::hub::log::{Log, State};
use crate::hub::segment::Segment;
use crate::model::Overflow;

/// Start of a subscription in the log.
#[derive(Debug, Clone, Copy)]
pub(super) enum From {
    /// After a sequence that is the present: with what is in memory, retained or not.
    Live(u64),
    /// After a sequence of the past: with what is retained.
    After(u64),
    Oldest,
    Last(usize),
    /// At the event with this index, see [`Log::resolve`].
    At(u64),
}

/// Place of a subscription.
#[derive(Debug)]
pub(super) struct Placed {
    /// The index of the first event to deliver.
    pub(super) index: u64,
    /// That event's sequence, if it is there already.
    pub(super) head: Option<u64>,
    /// The sequence up to which events are gone that it should have had.
    pub(super) gap: Option<u64>,
}

/// Result of a look at a reader's index.
#[derive(Debug)]
pub(super) enum Found {
    /// The segment that holds it.
    Segment(Arc<Segment>),
    /// It is gone, like everything before `to`, the last of which had the sequence `gone`. Of that, what is before
    /// `missed` is missed, and the last of it had the sequence `evicted`; what is from there to `lost` was replaced, for a
    /// reader that conflates; everything from `lost` on had expired before it went.
    Lost { to: u64, gone: u64, missed: u64, lost: u64, evicted: u64 },
    /// It is not published yet.
    Nothing,
}

impl From {
    /// Returns the place of a start that is not a cursor.
    pub(super) fn start(start: Start, published: u64) -> Self {
        match start {
            Start::Oldest => Self::Oldest,
            Start::Last(n) => Self::Last(n),
            _ => Self::Live(published),
        }
    }

    /// The sequence after which it begins, where that is one for all topics.
    pub(super) fn after(self) -> Option<u64> {
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
    pub(super) fn resolve(&self, from: From, now: u64) -> From {
        match from {
            From::Last(events) => self.resolve_last(events, now),
            from => from,
        }
    }

    #[inline(never)]
    fn resolve_last(&self, events: usize, now: u64) -> From {
        let (mut left, mut end) = (events, u64::MAX);
        loop {
            let state = self.state();
            let first = state.first;
            end = end.min(state.next);
            let segment =
                end.checked_sub(1).filter(|_| left > 0 && end > first).and_then(|last| state.segment_at(last));
            let Some(segment) = segment.map(Arc::clone) else {
                return From::At(end);
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

impl State {
    /// Places a subscription. History must have been evicted to the present before.
    pub(super) fn place(&self, from: From, overflow: Overflow) -> Placed {
        let evicted = self.evicted_for(overflow);
        let (index, gap) = match from {
            From::Live(sequence) => {
                let lost = self.gone.min(evicted);
                (self.index_after(sequence), Some(lost).filter(|&lost| lost > sequence))
            }
            From::After(sequence) => {
                (self.index_after(sequence).max(self.first), Some(evicted).filter(|&gone| gone > sequence))
            }
            From::Oldest => (self.first, None),
            From::Last(n) => (self.next.saturating_sub(n as u64).max(self.first), None),
            From::At(index) => (index.max(self.first), None),
        };
        let head = self.segment_at(index).and_then(|segment| segment.entry_at(index)).map(|entry| entry.sequence);
        Placed { index, head, gap }
    }

    /// Places a replay up to and with a sequence. Also returns the sequence of the last event there is to replay, and
    /// their number.
    pub(super) fn place_up_to(&self, sequence: u64, from: From, overflow: Overflow) -> (Placed, Option<(u64, u64)>) {
        let (placed, end) = (self.place(from, overflow), self.index_after(sequence));
        let last = end.checked_sub(1).filter(|&last| last >= placed.index);
        let entry = last.and_then(|last| self.segment_at(last)?.entry_at(last));
        let replay = entry.map(|entry| (entry.sequence, end - placed.index));
        (placed, replay)
    }

    /// Returns the segment or the loss at an index.
    pub(super) fn find(&self, index: u64, overflow: Overflow) -> Found {
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
        Found::Lost { to: self.floor(), gone: self.gone, missed, lost: self.kept().lost, evicted }
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

    pub(super) fn segment_at(&self, index: u64) -> Option<&Arc<Segment>> {
        self.kept().segments.last_that(|segment| segment.base <= index).or_else(|| self.live_at(index))
    }
}
