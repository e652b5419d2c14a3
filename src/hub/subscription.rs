use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::contract::{Delivery, Encoded, Format, Head, Start, Subscribe, SubscribeError, Subscriber};
use crate::hub::log::{From, Placed};
use crate::hub::merged::Merged;
use crate::hub::reader::Reader;
use crate::hub::shared::Shared;
use crate::hub::single::Single;
use crate::model::{Cursor, Gap, GapReason, Position};

/// A subscription of a [`LocalHub`](crate::LocalHub): the events of its topics in the hub's order.
///
/// It reads from the topics' shared history; what it holds of its own is a position. Dropping it leaves the topics.
///
/// # When it falls behind
///
/// ```
/// use std::task::{Context, Poll, Waker};
/// use tidings::{Delivery, LocalHub, Retention, Subscribe, Subscriber, Topic};
///
/// let hub = LocalHub::builder().retain(Retention::count(100)).build();
/// let topic = Topic::new("ticks")?;
/// let mut slow = hub.subscribe(Subscribe::to([&topic]))?;
/// for tick in 0..1_000 {
///     hub.publish_now(&topic, tick.to_string())?;
/// }
/// let Poll::Ready(Delivery::Gap(gap)) = slow.poll_next(&mut Context::from_waker(Waker::noop())) else {
///     unreachable!("it missed events, and is told so first");
/// };
/// assert_eq!(gap.missed, Some(900));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Subscription {
    shared: Arc<Shared>,
    /// What is said before anything else.
    opening: Option<Box<Gap>>,
    order: Order,
}

enum Order {
    Single(Single),
    Merged(Box<Merged>),
}

impl Subscription {
    pub(super) fn new(shared: Arc<Shared>, what: Subscribe) -> Result<Self, SubscribeError> {
        let (topics, start, overflow) = what.into_parts()?;
        let Beginning { from, sequence, gap } = Beginning::new(&shared, start);
        let mut placed = Vec::with_capacity(topics.len());
        for topic in topics {
            match shared.join(&topic, from, overflow) {
                Some(place) => placed.push(place),
                None => {
                    let joined: &[(Reader, Placed)] = &placed;
                    joined.iter().for_each(|(reader, _)| shared.leave(&reader.log, |_| None::<()>));
                    return Err(SubscribeError::Closed);
                }
            }
        }
        let mut opening = gap;
        let order = match <[_; 1]>::try_from(placed) {
            Ok([(reader, placed)]) => {
                let evicted = placed.gap.map(|evicted| {
                    Gap::new(GapReason::Evicted, shared.cursor(evicted)).topic(reader.log.topic.clone())
                });
                opening = opening.or(evicted);
                Order::Single(Single::new(reader, &placed, sequence, overflow))
            }
            Err(placed) => Order::Merged(Box::new(Merged::new(&shared, placed, sequence, overflow))),
        };
        Ok(Self { shared, opening: opening.map(Box::new), order })
    }

    /// What must be said before anything else, once.
    fn open(&mut self) -> Option<Gap> {
        let gap = *self.opening.take()?;
        self.shared.gaps.add(1);
        let sequence = self.order.sequence_mut();
        let after = self.shared.cursor(*sequence);
        *sequence = (*sequence).max(gap.cursor.position().sequence);
        Some(if gap.reason == GapReason::Evicted { gap.after(after) } else { gap })
    }
}

/// Where a subscription begins in the hub's order.
struct Beginning {
    from: From,
    /// Up to where nothing is owed.
    sequence: u64,
    gap: Option<Gap>,
}

impl Beginning {
    fn new(shared: &Shared, start: Start) -> Self {
        let published = shared.published.load();
        let (from, sequence, reason) = match start {
            Start::Now => (From::Live(published), published, None),
            Start::Oldest => (From::Oldest, published, None),
            Start::Last(n) => (From::Last(n), published, None),
            Start::Unreadable => (From::Live(published), published, Some(GapReason::Invalid)),
            Start::After(cursor) => {
                let Position { epoch, sequence, .. } = cursor.position();
                let known = || sequence <= published || sequence <= shared.settled();
                if epoch != shared.epoch {
                    (From::Oldest, 0, Some(GapReason::Epoch))
                } else if cursor.tag().is_some() || !known() {
                    (From::Live(published), published, Some(GapReason::Invalid))
                } else {
                    (From::After(sequence), sequence, None)
                }
            }
        };
        Self { from, sequence, gap: reason.map(|reason| Gap::new(reason, shared.cursor(sequence))) }
    }
}

impl Order {
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
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        if let Some(gap) = self.open() {
            return Poll::Ready(Delivery::Gap(gap));
        }
        match &mut self.order {
            Order::Single(single) => single.poll_next(&self.shared, cx),
            Order::Merged(merged) => merged.poll_next(&self.shared, cx),
        }
    }

    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<Encoded> {
        if let Some(gap) = self.open() {
            return Poll::Ready(Encoded::Gap(gap));
        }
        match &mut self.order {
            Order::Single(single) => single.poll_encoded(&self.shared, cx, format, max),
            Order::Merged(merged) => merged.poll_encoded(&self.shared, cx, format, max),
        }
    }

    /// `None` while a client whose cursor was of another epoch, or unreadable, has not been told so.
    fn cursor(&self) -> Option<Cursor> {
        match self.opening.as_deref() {
            Some(Gap { reason: GapReason::Epoch | GapReason::Invalid, .. }) => None,
            _ => Some(self.shared.cursor(self.order.sequence())),
        }
    }

    fn next_in(&self) -> Option<Duration> {
        let now = self.shared.now();
        Some(match &self.order {
            Order::Single(single) => single.next_in(now),
            Order::Merged(merged) => merged.next_in(now),
        })
    }

    fn detach(&mut self) {
        match &mut self.order {
            Order::Single(single) => single.detach(),
            Order::Merged(merged) => merged.detach(),
        }
    }

    fn head(&self) -> Option<Arc<dyn Head>> {
        Some(self.shared.clone())
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
