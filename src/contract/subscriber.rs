use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use crate::contract::{Batch, Format, SubscriberInfo};
use crate::model::{Cursor, Gap};

/// A source that yields batches of events, gaps, and the end.
///
/// Only [`poll_next`](Self::poll_next) is required. Every method is cancel-safe: what one call did not return, the next call
/// of any method returns.
pub trait Subscriber: Send + 'static {
    /// Returns the next events, a gap or the end. After the end it returns the end again.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery>;

    /// Polls for the next delivery as [`poll_next`](Self::poll_next) does, with the events encoded: whole events, at
    /// most `max` bytes of them, but always at least one.
    ///
    /// The default encodes what `poll_next` gives and does not heed `max`; a hub answers from its shared cache.
    ///
    /// After a panic of the format, a hub's subscription and a [`Recover`](crate::subscriber::Recover) yield the same events again. The
    /// default has lost them, so its subscriber must be dropped, as a session of an [`Endpoint`](crate::Endpoint) does: the
    /// client resumes at the last cursor that it got.
    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        let _ = max;
        self.poll_next(cx).map(|delivery| match delivery {
            Delivery::Events(batch) => {
                let mut out = BytesMut::new();
                batch.iter().for_each(|event| format.encode(&event, &mut out));
                EncodedDelivery::Events(EncodedBatch::new(out.freeze(), batch.count()).conflated(batch.conflated()))
            }
            Delivery::Gap(gap) => EncodedDelivery::Gap(gap),
            Delivery::End(end) => EncodedDelivery::End(end),
        })
    }

    /// Returns whether [`poll_encoded`](Self::poll_encoded) heeds `max`. Default: `false`, as the default `poll_encoded` does
    /// not. An endpoint with a [`max_event`](crate::EndpointBuilder::max_event) encodes the batches of such a subscriber
    /// itself, in place of calling its `poll_encoded`.
    fn heeds_max(&self) -> bool {
        false
    }

    /// Registers the task of `cx` if nothing is ready. Returns `true` if it was registered, as a pending poll would
    /// have done, so that the caller can leave out that poll. Returns `false` if something is ready or only a poll can
    /// tell; then nothing was registered. The default always returns `false`.
    fn register(&mut self, cx: &mut Context<'_>) -> bool {
        let _ = cx;
        false
    }

    /// Returns the cursor up to which everything was delivered. A client that resumes from it misses nothing. `None`, the
    /// default, if the source has no cursors, or while a gap is still to be told that such a client would miss. Adapters
    /// call it before the first poll too, for the hello.
    fn cursor(&self) -> Option<Cursor> {
        None
    }

    /// Releases shared history while the client takes nothing. The next poll acquires it again.
    fn release(&mut self) {}

    /// Returns a description of the subscriber. Default: empty.
    fn info(&self) -> SubscriberInfo<'_> {
        SubscriberInfo::new()
    }
}

/// A subscriber of any kind.
pub type BoxSubscriber = Box<dyn Subscriber>;

/// Item that a subscriber yields.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Delivery {
    /// At least one event.
    Events(Batch),
    /// Events that are gone, in their place.
    Gap(Gap),
    /// Nothing more will come.
    End(SubscriptionEnd),
}

/// Item that a subscriber yields, with encoded events.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum EncodedDelivery {
    /// At least one event, whole.
    Events(EncodedBatch),
    /// Events that are gone, in their place.
    Gap(Gap),
    /// Nothing more will come.
    End(SubscriptionEnd),
}

/// Events as they go on a wire.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncodedBatch {
    /// Whole events, one after the other.
    pub bytes: Bytes,
    /// How many they are.
    pub events: u32,
    /// How many others these stand for, see [`Overflow::Latest`](crate::Overflow::Latest).
    pub conflated: u32,
}

impl EncodedBatch {
    /// Returns an encoding of this number of events.
    #[must_use]
    pub fn new(bytes: Bytes, events: u32) -> Self {
        Self { bytes, events, conflated: 0 }
    }

    /// Sets the number of events that these replaced.
    #[must_use]
    pub fn conflated(self, conflated: u32) -> Self {
        Self { conflated, ..self }
    }
}

/// Why nothing more will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SubscriptionEnd {
    /// The hub was closed; every event before that was delivered.
    Closed,
    /// The source is at its end; every event was delivered.
    Finished,
    /// The subscriber fell behind history, and asked to be let go then.
    TooSlow,
    /// The application's code failed. What was not delivered can be asked for again, from the cursor.
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

    fn release(&mut self) {
        (**self).release();
    }

    fn info(&self) -> SubscriberInfo<'_> {
        (**self).info()
    }
}
