use bytes::BytesMut;

use crate::contract::EventRef;

/// The bytes of one event on a wire.
///
/// A format must be a pure function of the event: a hub encodes an event once, and gives the bytes to every subscriber. Bytes
/// that differ between clients do not belong in it.
pub trait Format: Send + Sync + 'static {
    /// Returns the place of this format in a hub's encode-once caches, one of [`Slot::APPLICATION`]. Formats with the same slot
    /// must write the same bytes. Default: `None`, the events are encoded for each subscriber.
    fn slot(&self) -> Option<Slot> {
        None
    }

    /// Appends the whole of one event: bytes that may stand after, and before, any other event's. One that appends nothing
    /// leaves the event out of the wire; the event counts as delivered.
    fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut);
}

/// Place of a [`Format`] in a hub's encode-once caches.
///
/// The formats of the library have slots of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot(u8);

impl Slot {
    /// The slots for the formats of an application.
    pub const APPLICATION: [Self; 2] = [Self(6), Self(7)];

    #[inline]
    pub(crate) fn index(self) -> usize {
        self.0.into()
    }
}

/// Slots of the library's formats.
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
    /// How many slots a hub caches.
    pub(crate) const COUNT: usize = 8;
}
