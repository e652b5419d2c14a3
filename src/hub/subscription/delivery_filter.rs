use std::ops::Range;

use crate::hub::log::segment::Segment;
use crate::hub::shared::Shared;
use crate::hub::subscription::output::Output;
use crate::hub::subscription::slice_reader::SliceReader;
use crate::hub::subscription::taken::{LeftOut, Taken};
use crate::model::Overflow;

/// Filter of the events of a segment that a reader is given. It leaves out those that have expired and, for a reader that
/// conflates, those that newer ones replace.
#[derive(Debug)]
pub(crate) struct DeliveryFilter<'a> {
    segment: &'a Segment,
    /// Time by which events expire.
    now: u64,
    /// Whether replaced events are left out, too.
    conflates: bool,
}

impl<'a> DeliveryFilter<'a> {
    /// Returns the filter of a reader of this segment at the present time.
    pub(crate) fn new(segment: &'a Segment, shared: &Shared, overflow: Overflow) -> Self {
        // The clock is the user's: not asked where nothing expires.
        let now = if segment.never_expires() { 0 } else { shared.now() };
        Self { segment, now, conflates: overflow == Overflow::Latest }
    }

    /// Returns the first run of events to deliver in a range of written places, or the empty range at its end if there is
    /// none. Counts the events that are left out before it.
    pub(crate) fn next(&self, range: Range<u32>, left_out: &mut LeftOut) -> Range<u32> {
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
        start..(start..range.end).find(|&place| self.leaves_out(place)).unwrap_or(range.end)
    }

    /// Takes the first events to deliver of a range of written places, at least one. They are shared with other readers if
    /// they are one run. Returns `None` if there are none.
    pub(crate) fn take<O: Output>(
        &self,
        range: Range<u32>,
        output: O,
        reader: SliceReader<'_>,
    ) -> Option<Taken<O::Events>> {
        let mut left_out = LeftOut::default();
        let first = self.next(range.clone(), &mut left_out);
        if first.is_empty() {
            return None;
        }
        if first.end == range.end {
            let (events, end) = output.share(self.segment, first.clone(), reader);
            return Some(Taken::filtered(events, self.segment, end - first.start, end, left_out));
        }
        let (mut gathered, mut count, mut end, mut before_end) = (output.gather(), 0, first.start, left_out);
        let mut run = first.clone();
        'full: while !run.is_empty() {
            for place in run.clone() {
                if !O::add(&mut gathered, self.segment, place) {
                    break 'full;
                }
                (count, end, before_end) = (count + 1, place + 1, left_out);
            }
            run = self.next(run.end..range.end, &mut left_out);
        }
        let events = O::gathered(gathered, self.segment, first.start);
        Some(Taken::filtered(events, self.segment, count, end, before_end))
    }

    /// Returns whether the event in a written place is left out.
    pub(crate) fn leaves_out(&self, place: u32) -> bool {
        self.segment.is_expired(place, self.now) || self.is_replaced(place)
    }

    /// Returns the numbers of events in a range of written places that are left out.
    pub(crate) fn left_out(&self, range: Range<u32>) -> LeftOut {
        let mut left_out = LeftOut::default();
        for place in range {
            if self.segment.is_expired(place, self.now) {
                left_out.expired += 1;
            } else if self.is_replaced(place) {
                left_out.conflated += 1;
            }
        }
        left_out
    }

    fn is_replaced(&self, place: u32) -> bool {
        self.conflates && self.segment.is_replaced(place)
    }
}
