use std::ops::Range;

use crate::hub::delivery_filter::{DeliveryFilter, LeftOut};
use crate::hub::joined::Reading;
use crate::hub::log::Log;
use crate::hub::output::Output;
use crate::hub::segment::Segment;
use crate::hub::shared::Shared;
use crate::model::Overflow;

/// Written places of a segment, at least one, that a reader has not read. The first holds an event to deliver.
#[derive(Debug)]
pub(super) struct SegmentSlice<'a> {
    log: &'a Log,
    segment: &'a Segment,
    places: Range<u32>,
    /// Whether all of them are to be delivered. If not, they are filtered.
    is_whole: bool,
}

/// Events that were taken from a slice, and the position of the reader after them.
#[derive(Debug)]
pub(super) struct Taken<E> {
    pub(super) events: E,
    /// Number of the events.
    pub(super) count: u32,
    /// Sequence of the last event.
    pub(super) sequence: u64,
    /// Set if the slice was filtered.
    pub(super) filtered: Option<Filtered>,
}

/// Result of the filter of a slice.
#[derive(Debug)]
pub(super) struct Filtered {
    /// Dense index after the last event that was taken.
    pub(super) next: u64,
    /// Events before it that were left out.
    pub(super) left_out: LeftOut,
}

impl<'a> SegmentSlice<'a> {
    #[inline(always)]
    pub(super) fn new(log: &'a Log, segment: &'a Segment, places: Range<u32>, is_whole: bool) -> Self {
        Self { log, segment, places, is_whole }
    }

    /// Returns the places.
    pub(super) fn places(&self) -> Range<u32> {
        self.places.clone()
    }

    /// Returns the sequence of the first event.
    pub(super) fn first_sequence(&self) -> u64 {
        self.segment.sequence(self.places.start)
    }

    /// Returns the places up to a sequence; `None` if there are none.
    pub(super) fn up_to(mut self, sequence: u64) -> Option<Self> {
        self.places.end = self.segment.place_after(sequence, self.places.clone());
        (!self.places.is_empty()).then_some(self)
    }

    /// Returns the places before the first event of another topic.
    pub(super) fn of_one_topic(mut self) -> Self {
        self.places.end = self.segment.end_of_topic(self.places.clone());
        self
    }

    /// Takes the first events, for a reader that has `waited` for them or has not. Returns `None` if none of the slice is to
    /// be delivered any more.
    #[inline(always)]
    pub(super) fn take<O: Output>(
        self,
        output: O,
        shared: &Shared,
        overflow: Overflow,
        waited: bool,
    ) -> Option<Taken<O::Events>> {
        let taken = match self.is_whole {
            true => self.take_whole(output, shared, waited),
            false => self.filter(output, shared, overflow)?,
        };
        Some(taken)
    }

    /// Takes the first events of a slice all of which is to be delivered.
    #[inline(always)]
    pub(super) fn take_whole<O: Output>(self, output: O, shared: &Shared, waited: bool) -> Taken<O::Events> {
        let Self { log, segment, places, .. } = self;
        let start = places.start;
        let (events, end) = output.share(segment, places, Reading { shared, log, waited });
        Taken { events, count: end - start, sequence: segment.sequence(end - 1), filtered: None }
    }

    #[cold]
    fn filter<O: Output>(self, output: O, shared: &Shared, overflow: Overflow) -> Option<Taken<O::Events>> {
        let reading = Reading { shared, log: self.log, waited: false };
        DeliveryFilter::new(self.segment, shared, overflow).take(self.places, output, reading)
    }
}

impl<E> Taken<E> {
    /// Returns events that were filtered out of a segment, the last of which is in the place before `end`.
    pub(super) fn filtered(events: E, segment: &Segment, count: u32, end: u32, left_out: LeftOut) -> Self {
        let filtered = Some(Filtered { next: segment.base + u64::from(end), left_out });
        Self { events, count, sequence: segment.sequence(end.saturating_sub(1)), filtered }
    }
}
