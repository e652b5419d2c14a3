use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use crate::contract::{Batch, Delivery, EncodedBatch, EncodedDelivery, Encoder, EventRef, Format, SubscriptionEnd};
use crate::hub::log::kept::Kept;
use crate::hub::log::segment::Segment;
use crate::hub::subscription::slice_reader::SliceReader;
use crate::model::{Event, Gap, TopicEnd};

/// Form in which a subscription delivers events: [batches](Batches) of entries, or the [bytes](InFormat) of a format.
///
/// The read path is generic over it, and compiled once for each form.
pub(crate) trait Output: Copy {
    /// Events in this form.
    type Events;
    /// Events, a gap or the end.
    type Delivery;
    /// Events that are added one by one.
    type Gathered;
    /// Whether all events of a delivery are of one topic.
    const OF_ONE_TOPIC: bool;
    /// Whether [`share`](Self::share) takes so little that a poll does it in place, and not by a call.
    const IN_PLACE: bool;
    /// Whether [`keeps`](Self::keeps) may leave out events.
    const FILTERS: bool = false;

    /// Returns events from the start of a range of written places, at least one, and the place after the last.
    fn share(self, segment: &Segment, places: Range<u32>, reader: SliceReader<'_>) -> (Self::Events, u32);

    /// Returns whether an event is delivered.
    #[inline(always)]
    fn keeps(self, event: &EventRef<'_>) -> bool {
        let _ = event;
        true
    }

    /// Returns the first of the kept events, of which there is one at least, their number, and the place after the last event
    /// that was looked at. `unread` are the written places from the first of `kept` on.
    fn share_kept(
        self,
        segment: &Segment,
        kept: Kept,
        unread: Range<u32>,
        reader: SliceReader<'_>,
    ) -> (Self::Events, u32, u32);

    /// Returns whether a poll without a delivery has looked at so many events that it is to be repeated later.
    #[inline(always)]
    fn is_spent(self) -> bool {
        false
    }

    /// Begins to gather events that are not in one range.
    fn gather(self) -> Self::Gathered;

    /// Adds the event in a written place. Returns `false` if it does not fit.
    fn add(gathered: &mut Self::Gathered, segment: &Segment, place: u32) -> bool;

    /// Returns the gathered events. The first of them is in the place `first` of the segment.
    fn gathered(gathered: Self::Gathered, segment: &Segment, first: u32) -> Self::Events;

    /// Returns whether events fit behind others in one delivery.
    fn fits(self, events: &Self::Events) -> bool;

    /// Joins events to the first ones, as long as `more` returns some that fit into the rest of the delivery. `pieces` is the
    /// expected number of calls that return events, and one.
    fn join(self, first: Self::Events, pieces: usize, more: impl FnMut(Self) -> Option<Self::Events>) -> Self::Events;

    /// Sets the number of events that these stand for beside themselves.
    fn conflated(events: Self::Events, conflated: u32) -> Self::Events;

    /// Returns the delivery of events. `None` if all of them are left out.
    fn events(events: Self::Events) -> Option<Self::Delivery>;

    /// Returns the delivery of a gap.
    fn gap(gap: Gap) -> Self::Delivery;

    /// Returns the delivery of the end of a topic.
    fn topic_end(end: TopicEnd) -> Self::Delivery;

    /// Returns the delivery of the end.
    fn end(end: SubscriptionEnd) -> Self::Delivery;
}

/// Wakes the task of `cx`, which polls again after others.
#[cold]
pub(crate) fn poll_later<T>(cx: &Context<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Output of batches. They refer to their segment if they are in one range of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batches;

/// Output of encoded events. They are shared with other readers if they are in one range of a segment. A delivery has
/// at most `max` bytes, or one event.
#[derive(Clone, Copy)]
pub(crate) struct InFormat<'a> {
    pub(crate) format: &'a dyn Format,
    pub(crate) max: usize,
}

impl Output for Batches {
    type Events = Batch;
    type Delivery = Delivery;
    type Gathered = Vec<(u64, Event)>;
    const OF_ONE_TOPIC: bool = true;
    const IN_PLACE: bool = true;

    #[inline(always)]
    fn share(self, segment: &Segment, places: Range<u32>, _: SliceReader<'_>) -> (Batch, u32) {
        let end = places.end;
        (Batch::of(Arc::clone(segment.block()), places), end)
    }

    fn share_kept(self, segment: &Segment, kept: Kept, _: Range<u32>, _: SliceReader<'_>) -> (Batch, u32, u32) {
        let (block, end) = (segment.block(), kept.range().end);
        let batch = match kept.only_run() {
            Some(run) => Batch::of(Arc::clone(block), run),
            None => {
                let entries = kept.runs().flatten().filter_map(|place| segment.entry(place));
                let events = entries.map(|entry| (entry.sequence, entry.event.clone()));
                Batch::new(block.topic_at(kept.range().start).clone(), block.epoch, events)
            }
        };
        (batch, kept.count(), end)
    }

    fn gather(self) -> Self::Gathered {
        Vec::new()
    }

    fn add(gathered: &mut Self::Gathered, segment: &Segment, place: u32) -> bool {
        gathered.extend(segment.entry(place).map(|entry| (entry.sequence, entry.event.clone())));
        true
    }

    fn gathered(gathered: Self::Gathered, segment: &Segment, first: u32) -> Batch {
        let block = segment.block();
        Batch::new(block.topic_at(first).clone(), block.epoch, gathered)
    }

    fn fits(self, _: &Batch) -> bool {
        false
    }

    #[inline(always)]
    fn join(self, first: Batch, _: usize, _: impl FnMut(Self) -> Option<Batch>) -> Batch {
        first
    }

    #[inline(always)]
    fn conflated(events: Batch, conflated: u32) -> Batch {
        events.with_conflated(conflated)
    }

    #[inline(always)]
    fn events(events: Batch) -> Option<Delivery> {
        Some(Delivery::Events(events))
    }

    fn gap(gap: Gap) -> Delivery {
        Delivery::Gap(gap)
    }

    fn topic_end(end: TopicEnd) -> Delivery {
        Delivery::TopicEnd(end)
    }

    fn end(end: SubscriptionEnd) -> Delivery {
        Delivery::End(end)
    }
}

impl<'a> Output for InFormat<'a> {
    type Events = EncodedBatch;
    type Delivery = EncodedDelivery;
    type Gathered = Encoder<'a>;
    const OF_ONE_TOPIC: bool = false;
    const IN_PLACE: bool = false;

    #[inline(always)]
    fn share(self, segment: &Segment, places: Range<u32>, reader: SliceReader<'_>) -> (EncodedBatch, u32) {
        let start = places.start;
        let (bytes, end) = segment.encode(self.format, places, self.max, reader);
        (EncodedBatch::new(bytes, end - start), end)
    }

    fn share_kept(
        self,
        segment: &Segment,
        kept: Kept,
        unread: Range<u32>,
        reader: SliceReader<'_>,
    ) -> (EncodedBatch, u32, u32) {
        let (bytes, count, end) = segment.encode_kept(self.format, kept, unread, self.max, reader);
        (EncodedBatch::new(bytes, count), count, end)
    }

    fn gather(self) -> Encoder<'a> {
        Encoder::new(self.format, self.max)
    }

    fn add(gathered: &mut Encoder<'a>, segment: &Segment, place: u32) -> bool {
        segment.block().published(place..place + 1).all(|event| gathered.push(&event))
    }

    fn gathered(gathered: Encoder<'a>, _: &Segment, _: u32) -> EncodedBatch {
        let (bytes, events) = gathered.finish();
        EncodedBatch::new(bytes, events)
    }

    #[inline(always)]
    fn fits(self, events: &EncodedBatch) -> bool {
        events.bytes.len() <= self.max
    }

    #[inline(always)]
    fn join(
        self,
        first: EncodedBatch,
        pieces: usize,
        mut more: impl FnMut(Self) -> Option<EncodedBatch>,
    ) -> EncodedBatch {
        let EncodedBatch { bytes, events, conflated, .. } = first;
        let size = bytes.len().saturating_mul(pieces).min(self.max);
        let mut room = self.max.saturating_sub(bytes.len());
        let mut joined = JoinedBytes { first: bytes, all: BytesMut::new(), size, events, conflated };
        // If the format panics here, the events that were joined before are delivered, since their readers are past
        // them. The next poll panics.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            while let Some(events) = more(Self { max: room, ..self }) {
                room = room.saturating_sub(events.bytes.len());
                joined.add(&events);
            }
        }));
        joined.finish()
    }

    #[inline(always)]
    fn conflated(events: EncodedBatch, conflated: u32) -> EncodedBatch {
        events.with_conflated(conflated)
    }

    #[inline(always)]
    fn events(events: EncodedBatch) -> Option<EncodedDelivery> {
        Some(EncodedDelivery::Events(events))
    }

    fn gap(gap: Gap) -> EncodedDelivery {
        EncodedDelivery::Gap(gap)
    }

    fn topic_end(end: TopicEnd) -> EncodedDelivery {
        EncodedDelivery::TopicEnd(end)
    }

    fn end(end: SubscriptionEnd) -> EncodedDelivery {
        EncodedDelivery::End(end)
    }
}

/// Encoded events of several topics or segments. The first bytes are copied when others follow.
struct JoinedBytes {
    first: Bytes,
    all: BytesMut,
    /// Expected number of bytes.
    size: usize,
    events: u32,
    conflated: u32,
}

impl JoinedBytes {
    #[inline(always)]
    fn add(&mut self, events: &EncodedBatch) {
        if self.all.is_empty() {
            self.all.reserve(self.size);
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&events.bytes);
        self.events += events.events;
        self.conflated = self.conflated.saturating_add(events.conflated);
    }

    fn finish(self) -> EncodedBatch {
        let bytes = if self.all.is_empty() { self.first } else { self.all.freeze() };
        EncodedBatch::new(bytes, self.events).with_conflated(self.conflated)
    }
}
