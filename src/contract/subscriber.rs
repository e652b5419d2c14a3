use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use crate::contract::{Batch, Format, SubscriberInfo};
use crate::model::{Cursor, Gap, Pattern, TopicEnd};

/// Source that yields batches of events, gaps, ends of topics, and its own end.
///
/// Only [`poll_next`](Self::poll_next) is required. Every method is cancel-safe: a delivery that one call did not return is
/// returned by the next call of any method.
///
/// ```
/// use std::task::{Context, Poll, Waker};
/// use tidings::subscriber::{Delivery, SubscriptionEnd};
/// use tidings::{LocalHub, Subscribe, Subscriber};
///
/// let hub = LocalHub::new();
/// let mut subscription = hub.subscribe(Subscribe::topics(["news"]))?;
/// hub.publish_now("news", "first")?;
/// hub.close();
///
/// let cx = &mut Context::from_waker(Waker::noop());
/// while let Poll::Ready(delivery) = subscription.poll_next(cx) {
///     match delivery {
///         Delivery::Events(batch) => assert_eq!(batch.len(), 1),
///         Delivery::Gap(gap) => eprintln!("events are missing: {:?}", gap.reason),
///         Delivery::End(end) => {
///             assert_eq!(end, SubscriptionEnd::Closed);
///             break;
///         }
///         _ => {}
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Subscriber: Send + 'static {
    /// Polls for the next events, a gap or the end. After the end it returns the end again.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery>;

    /// Polls for the next delivery as [`poll_next`](Self::poll_next) does, with encoded events: whole events, at most `max`
    /// bytes, but at least one event.
    ///
    /// The default encodes the batch of `poll_next` and ignores `max`. A hub returns bytes of its shared cache.
    ///
    /// After a panic of the format, a hub's subscription and a [`Recover`](crate::subscriber::Recover) yield the same events
    /// again. The default has lost them, so its subscriber must be dropped, and the client resumes at its last cursor. A
    /// session of an [`Endpoint`](crate::Endpoint) does so.
    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        let _ = max;
        self.poll_next(cx).map(|delivery| match delivery {
            Delivery::Events(batch) => {
                let mut out = BytesMut::new();
                batch.iter().for_each(|event| format.encode(&event, &mut out));
                EncodedDelivery::Events(
                    EncodedBatch::new(out.freeze(), batch.count()).with_conflated(batch.conflated()),
                )
            }
            Delivery::Gap(gap) => EncodedDelivery::Gap(gap),
            Delivery::TopicEnd(end) => EncodedDelivery::TopicEnd(end),
            Delivery::End(end) => EncodedDelivery::End(end),
        })
    }

    /// Returns whether [`poll_encoded`](Self::poll_encoded) obeys `max`. Default: `false`, as the default `poll_encoded`
    /// ignores it. If it is `false`, an endpoint with a [`max_event`](crate::EndpointBuilder::max_event) encodes the batches of
    /// `poll_next` in place of calling `poll_encoded`.
    fn heeds_max(&self) -> bool {
        false
    }

    /// Registers the waker of `cx` if nothing is ready, without a poll. Returns `true` if it was registered; `false` means
    /// that the caller must poll. Default: `false`.
    fn register(&mut self, cx: &mut Context<'_>) -> bool {
        let _ = cx;
        false
    }

    /// Returns the cursor up to which everything was delivered. A client that resumes from it misses nothing.
    ///
    /// `None` if the source has no cursors, and while a gap is still to be yielded that a resumed client would not receive.
    /// Adapters also call it before the first poll, for the hello. Default: `None`.
    fn cursor(&self) -> Option<Cursor> {
        None
    }

    /// Skips all events and gaps up to a cursor, so that [`cursor`](Self::cursor) is at least this cursor. Returns
    /// `false`, and changes nothing, if the cursor is of another epoch or ahead of the source, or the source has no
    /// cursors. Default: `false`.
    ///
    /// A session whose topics change continues at its cursor with the subscriber of the new topics. What the client
    /// cannot have yet is not skipped:
    ///
    /// - The end of a topic that was not delivered. If its sequence is up to the cursor, it is delivered with the
    ///   cursor to which the subscriber skipped, or a later one.
    /// - The state of a [keyed](crate::Retention::latest_per_key) topic that is still to be delivered. Until the client
    ///   has it, the cursor has a tag or the epoch 0, so that a client which is cut gets the rest. A session waits for
    ///   that.
    /// - A [snapshot](crate::Snapshot) that is still to be delivered. A client that receives a part of it starts over.
    ///
    /// If events after the cursor are gone, a gap remains for them. It has no number of missing events.
    ///
    /// ```
    /// use std::task::{Context, Poll, Waker};
    /// use tidings::{LocalHub, Start, Subscribe, Subscriber};
    /// use tidings::subscriber::Delivery;
    ///
    /// let hub = LocalHub::new();
    /// let seen = hub.publish_now("news", "first")?.cursor().expect("a local hub has cursors");
    /// hub.publish_now("news", "second")?;
    /// let mut subscription = hub.subscribe(Subscribe::topics(["news"]).start(Start::Oldest))?;
    /// assert!(subscription.skip_to(seen));
    /// let Poll::Ready(Delivery::Events(batch)) = subscription.poll_next(&mut Context::from_waker(Waker::noop())) else {
    ///     unreachable!("the second event is ready");
    /// };
    /// assert_eq!(batch.iter().next().and_then(|news| news.event.as_str()), Some("second"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn skip_to(&mut self, cursor: Cursor) -> bool {
        let _ = cursor;
        false
    }

    /// Skips to a cursor as [`skip_to`](Self::skip_to) does, for a client that followed these topics and patterns up to the
    /// cursor. Call it before the first poll. An endpoint calls it for a session whose topics change.
    ///
    /// The subscriber yields the changes after the cursor of each [keyed](crate::Retention::latest_per_key) topic that the client
    /// followed, and the whole states of the others, wherever it started. The events of these states up to the cursor precede
    /// everything else. After them a poll is pending once, and wakes its task: [`cursor`](Self::cursor) is then the one to which
    /// the subscriber skipped, so that a session confirms the change before later events. A subscriber that wraps another
    /// one passes the call on. Default: calls `skip_to`.
    fn skip_followed(&mut self, cursor: Cursor, followed: &[Pattern]) -> bool {
        let _ = followed;
        self.skip_to(cursor)
    }

    /// Notes that the client is known to have received everything up to a cursor that the subscriber has delivered. An
    /// adapter calls it if its client acknowledges what it receives. Default: does nothing.
    fn acknowledge(&mut self, cursor: Cursor) {
        let _ = cursor;
    }

    /// Releases shared history while the client reads nothing. The next poll acquires it again. Default: does nothing.
    fn release(&mut self) {}

    /// Returns a description of the subscriber. Default: empty.
    fn info(&self) -> SubscriberInfo<'_> {
        SubscriberInfo::new()
    }
}

/// Boxed subscriber, see [`SubscriberExt::boxed`](crate::subscriber::SubscriberExt::boxed).
pub type BoxSubscriber = Box<dyn Subscriber>;

/// Item that [`Subscriber::poll_next`] yields.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Delivery {
    /// At least one event.
    Events(Batch),
    /// Gap in place of missing events.
    Gap(Gap),
    /// End of one topic, after its last event.
    TopicEnd(TopicEnd),
    /// End of the subscriber.
    End(SubscriptionEnd),
}

/// Item that [`Subscriber::poll_encoded`] yields.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum EncodedDelivery {
    /// At least one whole event.
    Events(EncodedBatch),
    /// Gap in place of missing events.
    Gap(Gap),
    /// End of one topic, after its last event.
    TopicEnd(TopicEnd),
    /// End of the subscriber.
    End(SubscriptionEnd),
}

/// Encoded events.
///
/// ```
/// use tidings::subscriber::EncodedBatch;
///
/// let batch = EncodedBatch::new("first\nsecond\n".into(), 2);
/// assert_eq!((batch.events, batch.conflated), (2, 0));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncodedBatch {
    /// Bytes of whole events, in order.
    pub bytes: Bytes,
    /// Number of events.
    pub events: u32,
    /// Number of older events that these replace, see [`Overflow::Latest`](crate::Overflow::Latest).
    pub conflated: u32,
}

impl EncodedBatch {
    /// Creates a batch from the bytes of this number of events.
    #[must_use]
    pub fn new(bytes: Bytes, events: u32) -> Self {
        Self { bytes, events, conflated: 0 }
    }

    /// Sets the number of older events that these replace.
    #[must_use]
    pub fn with_conflated(self, conflated: u32) -> Self {
        Self { conflated, ..self }
    }
}

/// Reason of the end of a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SubscriptionEnd {
    /// The hub was closed. All earlier events were delivered.
    Closed,
    /// All topics have ended, or the source has. All events and [ends](Delivery::TopicEnd) were delivered.
    Finished,
    /// The subscriber fell behind the events in memory, and its policy is [`Overflow::Disconnect`](crate::Overflow::Disconnect).
    TooSlow,
    /// The application's code failed. A client can resume from its cursor.
    Failed,
}

impl<S: Subscriber + ?Sized> Subscriber for Box<S> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        (**self).poll_next(cx)
    }

    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        (**self).poll_encoded(cx, format, max)
    }

    fn heeds_max(&self) -> bool {
        (**self).heeds_max()
    }

    fn register(&mut self, cx: &mut Context<'_>) -> bool {
        (**self).register(cx)
    }

    fn cursor(&self) -> Option<Cursor> {
        (**self).cursor()
    }

    fn skip_to(&mut self, cursor: Cursor) -> bool {
        (**self).skip_to(cursor)
    }

    fn skip_followed(&mut self, cursor: Cursor, followed: &[Pattern]) -> bool {
        (**self).skip_followed(cursor, followed)
    }

    fn acknowledge(&mut self, cursor: Cursor) {
        (**self).acknowledge(cursor);
    }

    fn release(&mut self) {
        (**self).release();
    }

    fn info(&self) -> SubscriberInfo<'_> {
        (**self).info()
    }
}
