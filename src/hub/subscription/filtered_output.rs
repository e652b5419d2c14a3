use std::cell::Cell;
use std::ops::Range;
use std::task::{Context, Poll};

use crate::contract::{EventFilter, EventRef, SubscriptionEnd};
use crate::hub::log::kept::Kept;
use crate::hub::log::segment::Segment;
use crate::hub::shared::Shared;
use crate::hub::subscription::kind::Kind;
use crate::hub::subscription::output::Output;
use crate::hub::subscription::reader::Look;
use crate::hub::subscription::segment_slice::SegmentSlice;
use crate::hub::subscription::slice_reader::SliceReader;
use crate::hub::subscription::taken::{LeftOut, Taken};
use crate::model::{Gap, TopicEnd};

/// Number of events that a poll looks at without a delivery.
const LOOKS: u32 = 4_096;

/// Output of a subscription with a [predicate](crate::Subscribe::filter): `output` without the events that it leaves out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilteredOutput<'a, O> {
    pub(crate) output: O,
    pub(crate) filter: &'a EventFilter,
    /// Number of events that the poll has looked at.
    pub(crate) looks: &'a Cell<u32>,
}

/// Polls a subscription with a predicate, as [`Subscription`](crate::Subscription) does without one: most polls look at the
/// segment in hand, and at nothing else.
#[inline(always)]
pub(crate) fn poll_filtered<O: Output>(
    kind: &mut Kind,
    shared: &Shared,
    cx: &mut Context<'_>,
    output: O,
    filter: &EventFilter,
) -> Poll<O::Delivery> {
    if let Kind::Single(single) = kind {
        match single.look() {
            Look::Unread(unread) => {
                let (kept, waited) = (unread.kept(|_, event| filter.keeps(event)), single.has_waited());
                let taken = match kept.is_none() || kept.is_all() {
                    true => unread.take_all_or_none(kept, output, shared, waited),
                    false => take_some(unread, kept, output, shared, waited),
                };
                if let Some(delivery) = single.pass::<FilteredOutput<'_, O>>(taken, shared).and_then(O::events) {
                    return Poll::Ready(delivery);
                }
            }
            Look::Nothing => {}
            Look::Unclear => return find_filtered(kind, shared, cx, output, filter),
        }
        if single.register(shared, cx) {
            return Poll::Pending;
        }
    }
    find_filtered(kind, shared, cx, output, filter)
}

/// Takes some of the events that were looked at.
#[inline(never)]
fn take_some<O: Output>(
    unread: SegmentSlice<'_>,
    kept: Kept,
    output: O,
    shared: &Shared,
    waited: bool,
) -> Taken<Option<O::Events>> {
    let taken = unread.take_kept(kept, output, shared, waited, |_| LeftOut::default());
    let is_none = taken.count == 0;
    taken.map(|events| (!is_none).then_some(events))
}

/// Finds the next delivery.
#[inline(never)]
fn find_filtered<O: Output>(
    kind: &mut Kind,
    shared: &Shared,
    cx: &mut Context<'_>,
    output: O,
    filter: &EventFilter,
) -> Poll<O::Delivery> {
    let looks = Cell::new(0);
    kind.poll(shared, cx, FilteredOutput { output, filter, looks: &looks })
}

impl<O: Output> Output for FilteredOutput<'_, O> {
    /// `None` if all events are left out.
    type Events = Option<O::Events>;
    type Delivery = O::Delivery;
    type Gathered = O::Gathered;
    const OF_ONE_TOPIC: bool = O::OF_ONE_TOPIC;
    const IN_PLACE: bool = false;
    const FILTERS: bool = true;

    fn share(self, segment: &Segment, places: Range<u32>, reader: SliceReader<'_>) -> (Option<O::Events>, u32) {
        let (events, end) = self.output.share(segment, places, reader);
        (Some(events), end)
    }

    fn keeps(self, event: &EventRef<'_>) -> bool {
        self.filter.keeps(event)
    }

    fn share_kept(
        self,
        segment: &Segment,
        kept: Kept,
        unread: Range<u32>,
        reader: SliceReader<'_>,
    ) -> (Option<O::Events>, u32, u32) {
        let Range { start, end } = kept.range();
        self.looks.set(self.looks.get().saturating_add(end - start));
        if kept.is_none() {
            return (None, 0, end);
        }
        if kept.is_all() {
            let (events, end) = self.output.share(segment, start..end, reader);
            return (Some(events), end - start, end);
        }
        let (events, count, end) = self.output.share_kept(segment, kept, unread, reader);
        (Some(events).filter(|_| count > 0), count, end)
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
