use std::sync::Arc;

use crate::contract::Start;
use crate::hub::log::fill::is_fill;
use crate::hub::log::log::{Log, LogState};
use crate::hub::log::segment::Segment;
use crate::model::Overflow;

/// Start of a subscription in a log.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StartAt {
    /// After a sequence of the present: with the events in memory, retained or not.
    Live(u64),
    /// After a sequence of the past: with the retained events.
    After(u64),
    /// As `After`, of a topic that the client did not follow up to this sequence: with the end of the topic, whenever that was.
    Added(u64),
    Oldest,
    Last(usize),
    /// At the event with this index, see [`Log::resolve`].
    At(u64),
}

/// Position in a log at which a subscription starts.
#[derive(Debug)]
pub(crate) struct StartPoint {
    /// Index of the first event to deliver.
    pub(crate) index: u64,
    /// Sequence of that event, if it is published.
    pub(crate) head: Option<u64>,
    /// Sequence up to which events that the subscription should have had are gone.
    pub(crate) gap: Option<u64>,
    pub(crate) end: EndAhead,
    /// Sequence up to which the subscription needs no removal, in a keyed topic.
    pub(crate) base: u64,
}

/// End of the topic as seen from a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndAhead {
    /// The topic has not ended.
    None,
    /// The end has this sequence, and is to be delivered.
    At(u64),
    /// The start is at the end or after it: nothing is to be delivered.
    Passed,
}

/// Result of a search at the index of a reader.
#[derive(Debug)]
pub(crate) enum Found {
    /// Segment that holds the event.
    Segment(Arc<Segment>),
    /// The event is gone, with all before `to`, the last of which had the sequence `gone`. Those before `missed` are
    /// missed, the last of them with the sequence `evicted`. Those from there to `lost` were replaced, for a reader
    /// that conflates. Those from `lost` on had expired before they left memory.
    Lost { to: u64, gone: u64, missed: u64, lost: u64, evicted: u64 },
    /// The reader of a keyed topic is in a fill, or its index has left memory. It continues by its sequence, see
    /// [`LogState::fill`].
    Fill,
    /// The event is not published yet.
    Nothing,
}

impl StartAt {
    /// Returns the position of a start that is not a cursor.
    pub(crate) fn start(start: Start, published: u64) -> Self {
        match start {
            Start::Oldest => Self::Oldest,
            Start::Last(n) => Self::Last(n),
            _ => Self::Live(published),
        }
    }

    /// Returns the start in a topic that the client did not follow up to its cursor.
    pub(crate) fn added(self) -> Self {
        match self {
            Self::After(after) => Self::Added(after),
            other => other,
        }
    }

    /// Returns the sequence after which it starts, if that is one for all topics.
    pub(crate) fn after(self) -> Option<u64> {
        match self {
            Self::Live(after) | Self::After(after) | Self::Added(after) => Some(after),
            Self::Oldest | Self::Last(_) | Self::At(_) => None,
        }
    }
}

impl Log {
    /// Returns the start with the index of the first of the last events that have not expired. They are counted without
    /// the log's lock.
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
    /// Returns the position of a start. History must have been evicted up to the present before.
    pub(crate) fn place(&self, from: StartAt, overflow: Overflow) -> StartPoint {
        let evicted = self.evicted_for(overflow);
        let (index, gap) = match from {
            StartAt::Live(sequence) => {
                let lost = self.gone.min(evicted);
                (self.index_after(sequence), Some(lost).filter(|&lost| lost > sequence))
            }
            StartAt::After(sequence) | StartAt::Added(sequence) => {
                (self.index_after(sequence).max(self.first), Some(evicted).filter(|&gone| gone > sequence))
            }
            StartAt::Oldest => (self.first, None),
            StartAt::Last(n) => (self.next.saturating_sub(n as u64).max(self.first), None),
            StartAt::At(index) => (index.max(self.first), None),
        };
        let head = self.segment_at(index).and_then(|segment| segment.entry_at(index)).map(|entry| entry.sequence);
        StartPoint { index, head, gap, end: self.end_ahead(from), base: 0 }
    }

    /// Returns the end of the topic as seen from a start. A start without a cursor is before the end, whenever that was.
    #[inline]
    pub(crate) fn end_ahead(&self, from: StartAt) -> EndAhead {
        match (self.end_mark(), from) {
            (None, _) => EndAhead::None,
            (Some(mark), StartAt::After(sequence)) if sequence >= mark.sequence => EndAhead::Passed,
            (Some(mark), _) => EndAhead::At(mark.sequence),
        }
    }

    /// Returns the position of a start for a backfill up to a sequence, with the sequence and the number of the events
    /// to read.
    pub(crate) fn place_up_to(
        &self,
        sequence: u64,
        from: StartAt,
        overflow: Overflow,
    ) -> (StartPoint, Option<(u64, u64)>) {
        let (point, end) = (self.place(from, overflow), self.index_after(sequence));
        let last = end.checked_sub(1).filter(|&last| last >= point.index);
        let entry = last.and_then(|last| self.segment_at(last)?.entry_at(last));
        let backfill = entry.map(|entry| (entry.sequence, end - point.index));
        (point, backfill)
    }

    /// Returns the segment at an index, or the reason for which there is none.
    pub(crate) fn find(&self, index: u64, overflow: Overflow) -> Found {
        if index >= self.next {
            return if is_fill(index) { Found::Fill } else { Found::Nothing };
        }
        match self.segment_at(index) {
            Some(segment) => Found::Segment(Arc::clone(segment)),
            None if self.retention.state.is_some() => Found::Fill,
            None => self.lost(overflow),
        }
    }

    /// Returns the loss of a reader whose index has left memory.
    #[cold]
    #[inline(never)]
    fn lost(&self, overflow: Overflow) -> Found {
        let (missed, evicted) = self.missed(overflow);
        Found::Lost { to: self.floor(), gone: self.gone, missed, lost: self.history().lost, evicted }
    }

    /// Returns the index of the first event in memory after a sequence.
    pub(crate) fn index_after(&self, sequence: u64) -> u64 {
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
