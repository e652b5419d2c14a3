use bytes::BytesMut;

use crate::contract::EventRef;

/// Encoding of an event for a wire.
///
/// A format must be a pure function of the event, because a hub encodes an event once and passes the bytes to every
/// subscriber. Bytes that differ between clients do not belong in it.
///
/// ```
/// use std::task::{Context, Poll, Waker};
/// use bytes::BytesMut;
/// use tidings::subscriber::{EncodedDelivery, EventRef, Format, Slot};
/// use tidings::{LocalHub, Subscribe, Subscriber};
///
/// /// Payloads, one a line.
/// struct Lines;
///
/// impl Format for Lines {
///     fn slot(&self) -> Option<Slot> {
///         Some(Slot::APPLICATION[0])
///     }
///
///     fn encode(&self, published: &EventRef<'_>, out: &mut BytesMut) {
///         out.extend_from_slice(published.event.payload());
///         out.extend_from_slice(b"\n");
///     }
/// }
///
/// let hub = LocalHub::new();
/// let mut subscription = hub.subscribe(Subscribe::topics(["news"]))?;
/// hub.publish_now("news", "first")?;
/// hub.publish_now("news", "second")?;
/// let cx = &mut Context::from_waker(Waker::noop());
/// let mut bytes = BytesMut::new();
/// while let Poll::Ready(EncodedDelivery::Events(events)) = subscription.poll_encoded(cx, &Lines, 64 * 1024) {
///     bytes.extend_from_slice(&events.bytes);
/// }
/// assert_eq!(bytes, "first\nsecond\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Format: Send + Sync + 'static {
    /// Returns the slot of this format in a hub's encode-once caches, one of [`Slot::APPLICATION`]. Formats with the same slot
    /// must append equal bytes. Default: `None`, the events are encoded for each subscriber.
    fn slot(&self) -> Option<Slot> {
        None
    }

    /// Appends one whole event. The bytes may be followed and preceded by those of any other event. An event for which
    /// nothing is appended is not sent, and counts as delivered.
    fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut);
}

/// Slot of a [`Format`] in a hub's encode-once caches.
///
/// The formats of this crate have slots of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot(u8);

impl Slot {
    /// Slots for the formats of an application.
    pub const APPLICATION: [Self; 2] = [Self(6), Self(7)];

    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0.into()
    }
}

/// Slots of this crate's formats.
pub(crate) mod place {
    #![allow(dead_code, reason = "each is used by one adapter's feature")]

    use super::Slot;

    /// The event object and a line feed: chunked stream.
    pub(crate) const OBJECT_LINE: Slot = Slot(0);
    /// The event object and a comma: poll replies.
    pub(crate) const OBJECT_ITEM: Slot = Slot(1);
    /// An SSE block with the payload as data.
    pub(crate) const SSE: Slot = Slot(2);
    /// An SSE block with the event object as data.
    pub(crate) const SSE_OBJECT: Slot = Slot(3);
    /// A WebSocket frame with the payload.
    pub(crate) const WEBSOCKET: Slot = Slot(4);
    /// A WebSocket text frame with the event object: `tidings.v1`.
    pub(crate) const WEBSOCKET_OBJECT: Slot = Slot(5);
    /// As `SSE`, without removals.
    pub(crate) const SSE_EVENTS: Slot = Slot(8);
    /// As `SSE_OBJECT`, without removals.
    pub(crate) const SSE_OBJECT_EVENTS: Slot = Slot(9);
    /// Number of slots in a cache.
    pub(crate) const COUNT: usize = 10;
}
