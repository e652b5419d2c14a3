use std::ops::Range;

use bytes::BytesMut;

use crate::contract::{Batch, EncodedBatch, Format};
use crate::hub::joined::Reading;
use crate::hub::segment::Segment;
use crate::hub::shared::Shared;
use crate::hub::sync::Count;
use crate::model::{Event, Overflow};

/// Which events of a segment a reader leaves out: those whose time is up, and for one that conflates those that newer
/// ones replace.
#[derive(Debug)]
pub(super) struct Sieve<'a> {
    segment: &'a Segment,
    /// The time by which events expire.
    now: u64,
    /// Whether replaced events are left out, too.
    conflates: bool,
}

/// How many events were left out, and why. One that is both expired and replaced has expired.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LeftOut {
    expired: u32,
    pub(super) conflated: u32,
}

/// How far a delivery goes.
#[derive(Debug)]
pub(super) struct Taken {
    /// The dense index after the last event delivered.
    pub(super) next: u64,
    /// The sequence of that event.
    pub(super) sequence: u64,
    pub(super) left_out: LeftOut,
}

impl<'a> Sieve<'a> {
    /// The sieve of a reader of this segment, now.
    pub(super) fn new(segment: &'a Segment, shared: &Shared, overflow: Overflow) -> Self {
        // The clock is the user's: not asked where nothing expires.
        let now = if segment.never_expires() { 0 } else { shared.now() };
        Self { segment, now, conflates: overflow == Overflow::Latest }
    }

    /// The first run of events to deliver in a range of written places; where there is none, the empty range at its
    /// end. Counts what is left out before it.
    pub(super) fn next(&self, range: Range<u32>, left_out: &mut LeftOut) -> Range<u32> {
        let mut start = range.start;
        while start < range.end {
            if self.segment.is_expired(start, self.now) {
                left_out.expired += 1;
            } else if self.is_replaced(start) {
                left_out.conflated += 1;
            } else {
                break;
            }
            start += 1;
        }
        let is_out = |&place: &u32| self.segment.is_expired(place, self.now) || self.is_replaced(place);
        start..(start..range.end).find(is_out).unwrap_or(range.end)
    }

    /// Returns the events that are left of a range, as a batch: by reference if they are one run.
    pub(super) fn batch(&self, range: Range<u32>) -> Option<(Batch, Taken)> {
        let mut left_out = LeftOut::default();
        let first = self.next(range.clone(), &mut left_out);
        let mut taken = self.taken(first.end, left_out);
        if first.is_empty() || first.end == range.end {
            return (!first.is_empty()).then(|| (Batch::of(self.segment.run().clone(), first), taken));
        }
        let (mut events, mut run) = (Vec::new(), first);
        while !run.is_empty() {
            taken = self.taken(run.end, left_out);
            let entries = run.clone().filter_map(|place| self.segment.entry(place));
            events.extend(entries.map(|entry| (entry.sequence, Event::clone(&entry.event))));
            run = self.next(run.end..range.end, &mut left_out);
        }
        let of = self.segment.run();
        Some((Batch::new(of.topic_at(range.start).clone(), of.epoch, events), taken))
    }

    /// The first of what is left of a range, encoded: at least one event, at most `max` bytes otherwise. If it is one
    /// run, from the shared cache.
    pub(super) fn encode(
        &self,
        range: Range<u32>,
        format: &dyn Format,
        max: usize,
        reading: Reading<'_>,
    ) -> Option<(EncodedBatch, Taken)> {
        let mut left_out = LeftOut::default();
        let first = self.next(range.clone(), &mut left_out);
        if first.is_empty() || first.end == range.end {
            return (!first.is_empty()).then(|| {
                let (bytes, end) = self.segment.encode(format, first.clone(), max, reading);
                (EncodedBatch::new(bytes, end - first.start), self.taken(end, left_out))
            });
        }
        let (mut bytes, mut events) = (BytesMut::new(), 0);
        let (mut run, mut taken) = (first.clone(), self.taken(first.end, left_out));
        'full: while !run.is_empty() {
            for (place, event) in run.clone().zip(self.segment.run().published(run.clone())) {
                let whole = bytes.len();
                format.encode(&event, &mut bytes);
                if events > 0 && bytes.len() > max {
                    bytes.truncate(whole);
                    break 'full;
                }
                events += 1;
                taken = self.taken(place + 1, left_out);
            }
            run = self.next(run.end..range.end, &mut left_out);
        }
        Some((EncodedBatch::new(bytes.freeze(), events), taken))
    }

    fn is_replaced(&self, place: u32) -> bool {
        self.conflates && self.segment.is_replaced(place)
    }

    fn taken(&self, end: u32, left_out: LeftOut) -> Taken {
        let sequence = self.segment.sequence(end.saturating_sub(1));
        Taken { next: self.segment.base + u64::from(end), sequence, left_out }
    }
}

impl LeftOut {
    /// Number of expired events, and number of replaced events.
    pub(super) fn new(expired: u64, conflated: u64) -> Self {
        let [expired, conflated] = [expired, conflated].map(|events| u32::try_from(events).unwrap_or(u32::MAX));
        Self { expired, conflated }
    }

    /// Adds to a hub's counts.
    pub(super) fn count(self, expired: &Count, conflated: &Count) {
        if self.expired > 0 {
            expired.add(self.expired.into());
        }
        if self.conflated > 0 {
            conflated.add(self.conflated.into());
        }
    }
}
