use std::cell::Cell;
use std::ops::Range;

use crate::contract::{EventFilter, EventRef, SubscriptionEnd};
use crate::hub::log::kept::Kept;
use crate::hub::log::segment::Segment;
use crate::hub::subscription::output::Output;
use crate::hub::subscription::slice_reader::SliceReader;
use crate::model::{Gap, TopicEnd};

/// Number of events that a poll looks at without a delivery.
const LOOKS: u32 = 4_096;

/// Output of a subscription with a [predicate](crate::Subscribe::filter): `output` without the events that it leaves out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sifted<'a, O> {
    pub(crate) output: O,
    pub(crate) filter: &'a EventFilter,
    /// Number of events that the poll has looked at.
    pub(crate) looks: &'a Cell<u32>,
}

impl<O: Output> Output for Sifted<'_, O> {
    /// `None` if all events are left out.
    type Events = Option<O::Events>;
    type Delivery = O::Delivery;
    type Gathered = O::Gathered;
    const OF_ONE_TOPIC: bool = O::OF_ONE_TOPIC;
    const IN_PLACE: bool = false;
    const SIFTS: bool = true;

    fn share(self, segment: &Segment, places: Range<u32>, reader: SliceReader<'_>) -> (Option<O::Events>, u32) {
        let (events, end) = self.output.share(segment, places, reader);
        (Some(events), end)
    }

    fn keeps(self, event: &EventRef<'_>) -> bool {
        self.filter.keeps(event)
    }

    fn share_kept(self, segment: &Segment, kept: &Kept, reader: SliceReader<'_>) -> (Option<O::Events>, u32, u32) {
        if kept.count() == 0 {
            return (None, 0, kept.range().end);
        }
        let (events, count, end) = self.output.share_kept(segment, kept, reader);
        (Some(events).filter(|_| count > 0), count, end)
    }

    fn looked(self, events: u32) {
        self.looks.set(self.looks.get().saturating_add(events));
    }

    fn is_spent(self) -> bool {
        self.looks.get() >= LOOKS
    }

    fn gather(self) -> O::Gathered {
        self.output.gather()
    }

    fn add(gathered: &mut O::Gathered, segment: &Segment, place: u32) -> bool {
        O::add(gathered, segment, place)
    }

    fn gathered(gathered: O::Gathered, segment: &Segment, first: u32) -> Option<O::Events> {
        Some(O::gathered(gathered, segment, first))
    }

    fn fits(self, events: &Option<O::Events>) -> bool {
        events.as_ref().is_none_or(|events| self.output.fits(events))
    }

    fn join(
        self,
        first: Option<O::Events>,
        pieces: usize,
        mut more: impl FnMut(Self) -> Option<Option<O::Events>>,
    ) -> Option<O::Events> {
        let more = |output| loop {
            match more(Self { output, ..self }) {
                Some(None) if !self.is_spent() => {}
                more => return more.flatten(),
            }
        };
        Some(self.output.join(first?, pieces, more))
    }

    fn conflated(events: Option<O::Events>, conflated: u32) -> Option<O::Events> {
        Some(O::conflated(events?, conflated))
    }

    fn events(events: Option<O::Events>) -> Option<O::Delivery> {
        O::events(events?)
    }

    /// The number of missed events is unknown: some of them would have been left out.
    fn gap(gap: Gap) -> O::Delivery {
        O::gap(Gap { missed: None, ..gap })
    }

    fn topic_end(end: TopicEnd) -> O::Delivery {
        O::topic_end(end)
    }

    fn end(end: SubscriptionEnd) -> O::Delivery {
        O::end(end)
    }
}
