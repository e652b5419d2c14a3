use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::contract::{
    Delivery, EncodedBatch, EncodedDelivery, Format, Start, Subscribe, SubscribeError, SubscribeOptions, Subscriber,
    SubscriberInfo,
};
use crate::hub::joining::{Beginning, JoinedLogs, Joining};
use crate::hub::merged::Merged;
use crate::hub::narrowed::narrowed;
use crate::hub::reader::Glance;
use crate::hub::shared::Shared;
use crate::hub::single::Single;
use crate::model::{Cursor, Gap, GapReason, Overflow, Pattern, Topic};

/// A subscription of a [`LocalHub`](crate::LocalHub): the events of its topics in the hub's order.
///
/// It reads from the topics' shared history; what it holds of its own is a position. Dropping it leaves the topics.
///
/// # Patterns
///
/// A pattern follows the topics that it matches as they appear, each from its first event, and again when one was dropped
/// and comes back. It keeps a topic in memory no longer than the topic's history lasts.
///
/// ```
/// use std::task::{Context, Poll, Waker};
/// use tidings::{LocalHub, Subscribe, Subscriber, Topic};
/// use tidings::subscriber::Delivery;
///
/// let hub = LocalHub::new();
/// let mut orders = hub.subscribe(Subscribe::patterns(["orders/**", "news"]))?;
/// hub.publish_now(&Topic::new("orders/eu/7")?, "placed")?;
/// let Poll::Ready(Delivery::Events(batch)) = orders.poll_next(&mut Context::from_waker(Waker::noop())) else {
///     unreachable!("the topic is new, and followed");
/// };
/// assert_eq!(batch.topic().as_str(), "orders/eu/7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A resume over a pattern costs in proportion to what was published since the cursor, however many topics there are. A
/// subscription that starts at the oldest or at the last events costs in proportion to the topics that match; for
/// `prefix/*`, to all segments directly below the prefix, whether or not a topic ends there. To follow a pattern from now
/// on costs the same for any number of topics.
///
/// The hub remembers dropped topics: one for 4 KiB of its byte budget, at most 65,536. A topic that came back keeps its
/// entry. A resume that may have missed events of forgotten topics yields one gap without a topic. Gaps with no event
/// between them are one gap.
///
/// Live, a pattern's subscription reads a log that all subscriptions of the pattern share, of up to 1,024 events, 256
/// KiB and 10 seconds, and of as much as the [live buffer](crate::LocalHubBuilder::live_buffer) holds while one of them
/// is behind; a subscription that is further behind reads on from the topics' own histories. If those have lost
/// something it is told so for each topic, in its place, without a count where that is not known. Where events expire,
/// topics are not remembered, or [`Overflow::Latest`](crate::Overflow) leaves events out, it may be told of a gap that
/// was none.
///
/// # When it falls behind
///
/// ```
/// use std::task::{Context, Poll, Waker};
/// use tidings::{LocalHub, Retention, Subscribe, Subscriber, Topic};
/// use tidings::subscriber::Delivery;
///
/// let hub = LocalHub::builder().retain(Retention::count(100)).live_buffer(0).build();
/// let topic = Topic::new("ticks")?;
/// let mut slow = hub.subscribe(Subscribe::topics([&topic]))?;
/// for tick in 0..1_000 {
///     hub.publish_now(&topic, tick.to_string())?;
/// }
/// let Poll::Ready(Delivery::Gap(gap)) = slow.poll_next(&mut Context::from_waker(Waker::noop())) else {
///     unreachable!("it missed events, and is told so first");
/// };
/// assert!(gap.missed.is_some_and(|missed| missed <= 900));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Subscription {
    shared: Arc<Shared>,
    /// Gap that is delivered before anything else.
    opening: Option<Box<Gap>>,
    order: Order,
}

enum Order {
    Single(Single),
    Merged(Box<Merged>),
}

impl Subscription {
    pub(super) fn new(shared: Arc<Shared>, what: Subscribe) -> Result<Self, SubscribeError> {
        let (names, options) = what.into_parts()?;
        let only = match names.as_slice() {
            [name] => name.as_topic(),
            _ => None,
        };
        let begun = match only {
            Some(topic) => Order::single(&shared, topic, options.start_of(&names[0]), options.overflow_of(&names[0])),
            None => Order::merged(&shared, names, &options),
        };
        let (opening, order) = begun?;
        Ok(Self { shared, opening: opening.map(Box::new), order })
    }

    #[inline(always)]
    fn register(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.order {
            Order::Single(single) => single.register(&self.shared, cx),
            Order::Merged(_) => false,
        }
    }

    #[inline(never)]
    fn take_encoded(
        &mut self,
        cx: &mut Context<'_>,
        format: &dyn Format,
        max: usize,
        events: u32,
    ) -> Poll<EncodedDelivery> {
        let Order::Single(single) = &mut self.order else {
            return self.find_encoded(cx, format, max);
        };
        let Some(ahead) = single.at_hand(events) else {
            return self.find_encoded(cx, format, max);
        };
        let (bytes, events, sequence) = ahead.encode(format, max, &self.shared, single.has_waited());
        single.delivered(events, sequence);
        Poll::Ready(EncodedDelivery::Events(EncodedBatch::new(bytes, events)))
    }

    #[inline(never)]
    fn wait_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        if self.register(cx) { Poll::Pending } else { self.find_next(cx) }
    }

    #[inline(never)]
    fn wait_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        if self.register(cx) { Poll::Pending } else { self.find_encoded(cx, format, max) }
    }

    #[inline(never)]
    fn find_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        if let Some(gap) = self.opening.take() {
            return Poll::Ready(Delivery::Gap(self.open(*gap)));
        }
        match &mut self.order {
            Order::Single(single) => single.poll_next(&self.shared, cx),
            Order::Merged(merged) => merged.poll_next(&self.shared, cx),
        }
    }

    #[inline(never)]
    fn find_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        if let Some(gap) = self.opening.take() {
            return Poll::Ready(EncodedDelivery::Gap(self.open(*gap)));
        }
        match &mut self.order {
            Order::Single(single) => single.poll_encoded(&self.shared, cx, format, max),
            Order::Merged(merged) => merged.poll_encoded(&self.shared, cx, format, max),
        }
    }

    /// Says what must be said before anything else.
    #[cold]
    fn open(&mut self, gap: Gap) -> Gap {
        self.shared.gaps.add(1);
        let sequence = self.order.sequence_mut();
        let after = self.shared.cursor(*sequence);
        *sequence = (*sequence).max(gap.cursor.sequence());
        if gap.reason == GapReason::Evicted { gap.after(after) } else { gap }
    }
}

impl Order {
    /// Returns the reader of one topic and its first gap.
    fn single(
        shared: &Shared,
        topic: &Topic,
        start: Start,
        overflow: Overflow,
    ) -> Result<(Option<Gap>, Self), SubscribeError> {
        let Beginning { from, sequence, gap } = Beginning::new(shared, start, shared.published.load());
        let (reader, placed) = shared.join(topic, from, overflow)?;
        let gone = placed.gap.map(|gone| shared.cursor(gone));
        let gap = match gap {
            Some(gap) => Some(gone.into_iter().fold(gap, Gap::gone)),
            None => gone.map(|gone| reader.log.gap(GapReason::Evicted, gone)),
        };
        Ok((gap, Self::Single(Single::new(reader, &placed, sequence, overflow))))
    }

    /// That of several, or of patterns.
    fn merged(
        shared: &Arc<Shared>,
        names: Vec<Pattern>,
        options: &SubscribeOptions,
    ) -> Result<(Option<Gap>, Self), SubscribeError> {
        let mut joining = Joining { shared, joined: JoinedLogs::default() };
        let Beginning { sequence, gap, .. } = joining.joined.join(shared, &narrowed(names), options)?;
        let joined = std::mem::take(&mut joining.joined);
        Ok((gap, Self::Merged(Box::new(Merged::new(shared, joined, sequence, options)))))
    }

    fn sequence(&self) -> u64 {
        match self {
            Self::Single(single) => single.sequence,
            Self::Merged(merged) => merged.sequence,
        }
    }

    fn sequence_mut(&mut self) -> &mut u64 {
        match self {
            Self::Single(single) => &mut single.sequence,
            Self::Merged(merged) => &mut merged.sequence,
        }
    }
}

impl Subscriber for Subscription {
    // A glance, and a jump to where the rest is done: so that none saves registers that only another needs.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        if let (None, Order::Single(single)) = (&self.opening, &mut self.order) {
            match single.glance() {
                Glance::AtHand(ahead) => {
                    let (batch, events, sequence) = (ahead.batch(), ahead.len(), ahead.last_sequence());
                    single.delivered(events, sequence);
                    return Poll::Ready(Delivery::Events(batch));
                }
                Glance::Nothing => return self.wait_next(cx),
                Glance::Unclear => {}
            }
        }
        self.find_next(cx)
    }

    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        if let (None, Order::Single(single)) = (&self.opening, &self.order) {
            match single.glance() {
                Glance::AtHand(ahead) => {
                    let events = ahead.len();
                    return self.take_encoded(cx, format, max, events);
                }
                Glance::Nothing => return self.wait_encoded(cx, format, max),
                Glance::Unclear => {}
            }
        }
        self.find_encoded(cx, format, max)
    }

    fn heeds_max(&self) -> bool {
        true
    }

    fn register(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.order {
            Order::Single(single) if self.opening.is_none() => single.wait_unseen(&self.shared, cx),
            _ => false,
        }
    }

    /// `None` while a client whose cursor was of another epoch, or unreadable, has not been told so.
    fn cursor(&self) -> Option<Cursor> {
        match self.opening.as_deref() {
            Some(Gap { reason: GapReason::Epoch | GapReason::Invalid, .. }) => None,
            _ => Some(self.shared.cursor(self.order.sequence())),
        }
    }

    fn release(&mut self) {
        match &mut self.order {
            Order::Single(single) => single.release(),
            Order::Merged(merged) => merged.release(),
        }
    }

    /// Names are left out that a pattern among them covers.
    fn info(&self) -> SubscriberInfo<'_> {
        let now = self.shared.now();
        let info = match &self.order {
            Order::Single(single) => SubscriberInfo::new()
                .with_topics(std::slice::from_ref(single.name()))
                .with_next_event_in(single.next_in(now)),
            Order::Merged(merged) => SubscriberInfo::new()
                .with_topics(merged.names().cloned().collect::<Vec<_>>())
                .with_next_event_in(merged.next_in(now)),
        };
        info.with_shared_head(self.shared.clone())
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        match &mut self.order {
            Order::Single(single) => single.leave(&self.shared),
            Order::Merged(merged) => merged.leave(&self.shared),
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("cursor", &self.cursor()).finish_non_exhaustive()
    }
}
