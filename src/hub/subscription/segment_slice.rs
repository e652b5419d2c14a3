use std::ops::Range;

use crate::contract::EventRef;
use crate::hub::log::kept::Kept;
use crate::hub::log::log::Log;
use crate::hub::log::segment::Segment;
use crate::hub::shared::Shared;
use crate::hub::subscription::delivery_filter::DeliveryFilter;
use crate::hub::subscription::output::Output;
use crate::hub::subscription::slice_reader::SliceReader;
use crate::hub::subscription::taken::{LeftOut, Taken};
use crate::model::Overflow;

/// Written places of a segment, at least one, that a reader has not read. The first holds an event to deliver.
#[derive(Debug)]
pub(crate) struct SegmentSlice<'a> {
    log: &'a Log,
    segment: &'a Segment,
    places: Range<u32>,
    /// Whether all of them are to be delivered. If not, they are filtered.
    is_whole: bool,
}

impl<'a> SegmentSlice<'a> {
    #[inline(always)]
    pub(crate) fn new(log: &'a Log, segment: &'a Segment, places: Range<u32>, is_whole: bool) -> Self {
        Self { log, segment, places, is_whole }
    }

    /// Returns the places.
    pub(crate) fn places(&self) -> Range<u32> {
        self.places.clone()
    }

    /// Returns the sequence of the first event.
    pub(crate) fn first_sequence(&self) -> u64 {
        self.segment.sequence(self.places.start)
    }

    /// Returns the places up to a sequence; `None` if there are none.
    pub(crate) fn up_to(mut self, sequence: u64) -> Option<Self> {
        self.places.end = self.segment.place_after(sequence, self.places.clone());
        (!self.places.is_empty()).then_some(self)
    }

    /// Returns the places before the first event of another topic.
    pub(crate) fn of_one_topic(mut self) -> Self {
        self.places.end = self.segment.end_of_topic(self.places.clone());
        self
    }

    /// Takes the first events, for a reader that has `waited` for them or has not. Returns `None` if none of the slice is to
    /// be delivered any more.
    #[inline(always)]
    pub(crate) fn take<O: Output>(
        self,
        output: O,
        shared: &Shared,
        overflow: Overflow,
        waited: bool,
    ) -> Option<Taken<O::Events>> {
        if O::FILTERS {
            return Some(self.take_filtered(output, shared, overflow, waited));
        }
        let taken = match self.is_whole {
            true => self.take_whole(output, shared, waited),
            false => self.filter(output, shared, overflow)?,
        };
        Some(taken)
    }

    /// Takes the first events of a slice all of which is to be delivered.
    #[inline(always)]
    pub(crate) fn take_whole<O: Output>(self, output: O, shared: &Shared, waited: bool) -> Taken<O::Events> {
        let Self { log, segment, places, .. } = self;
        let start = places.start;
        let (events, end) = output.share(segment, places, SliceReader { shared, log, waited });
        Taken { events, count: end - start, sequence: segment.sequence(end - 1), filtered: None }
    }

    /// Takes the first events that the output keeps, or none: the reader is past those that were looked at.
    fn take_filtered<O: Output>(
        self,
        output: O,
        shared: &Shared,
        overflow: Overflow,
        waited: bool,
    ) -> Taken<O::Events> {
        let filter = (!self.is_whole).then(|| DeliveryFilter::new(self.segment, shared, overflow));
        let is_left_out = |place| filter.as_ref().is_some_and(|filter| filter.leaves_out(place));
        let kept = self.kept(|place, event| !is_left_out(place) && output.keeps(event));
        let left_out = |places| filter.as_ref().map_or(LeftOut::default(), |filter| filter.left_out(places));
        self.take_kept(kept, output, shared, waited, left_out)
    }

    /// Looks at the first events. `keeps` returns whether the event in a place is delivered.
    #[inline(always)]
    pub(crate) fn kept(&self, mut keeps: impl FnMut(u32, &EventRef<'_>) -> bool) -> Kept {
        let block = &**self.segment.block();
        Kept::new(self.places(), |place| block.published_at(place).is_some_and(|event| keeps(place, &event)))
    }

    /// Takes the events that were looked at, all of which or none of which are kept.
    #[inline(always)]
    pub(crate) fn take_all_or_none<O: Output>(
        mut self,
        kept: Kept,
        output: O,
        shared: &Shared,
        waited: bool,
    ) -> Taken<Option<O::Events>> {
        self.places.end = kept.range().end;
        if kept.is_none() {
            return Taken::filtered(None, self.segment, 0, self.places.end, LeftOut::default());
        }
        self.take_whole(output, shared, waited).map(Some)
    }

    /// Takes the first of the kept events, of which there may be none. `left_out` returns the numbers of the others in a range
    /// that no predicate left out.
    #[inline(always)]
    pub(crate) fn take_kept<O: Output>(
        self,
        kept: Kept,
        output: O,
        shared: &Shared,
        waited: bool,
        left_out: impl FnOnce(Range<u32>) -> LeftOut,
    ) -> Taken<O::Events> {
        let Self { log, segment, places, .. } = self;
        let (events, count, end) = output.share_kept(segment, kept, places, SliceReader { shared, log, waited });
        Taken::filtered(events, segment, count, end, left_out(kept.range().start..end))
    }

    #[cold]
    fn filter<O: Output>(self, output: O, shared: &Shared, overflow: Overflow) -> Option<Taken<O::Events>> {
        let reading = SliceReader { shared, log: self.log, waited: false };
        DeliveryFilter::new(self.segment, shared, overflow).take(self.places, output, reading)
    }
}
