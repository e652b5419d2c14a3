use std::ops::Range;

use bytes::BytesMut;

use crate::contract::EventRef;

/// How an adapter writes one event on its wire.
///
/// A format is a pure function of the event: the same event must give the same bytes, so that a hub may encode it once
/// and hand the bytes to every subscriber. What differs per client does not belong here.
pub trait Format: Send + Sync + 'static {
    /// The place of this format in a hub's encode-once caches. Two formats with one slot must write the same bytes.
    /// `None`, the default, is never cached. Slots outside the library are those of [`APPLICATION_SLOTS`].
    fn slot(&self) -> Option<u8> {
        None
    }

    /// Appends the whole of one event: bytes that may stand after, and before, any other event's. One that appends nothing
    /// leaves the event out of the wire; the event counts as delivered.
    fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut);
}

/// The slots that an application's own formats may name.
pub const APPLICATION_SLOTS: Range<u8> = 6..8;

/// The library's own slots, in one table so that siblings can't meet in one.
pub(crate) mod place {
    #![allow(dead_code, reason = "each is used by one adapter's feature")]

    /// The event object and a line feed: chunked stream.
    pub(crate) const OBJECT_LINE: u8 = 0;
    /// The event object and a comma: poll replies.
    pub(crate) const OBJECT_ITEM: u8 = 1;
    /// An SSE block with the payload as data.
    pub(crate) const SSE: u8 = 2;
    /// An SSE block with the event object as data.
    pub(crate) const SSE_OBJECT: u8 = 3;
    /// A WebSocket frame with the payload.
    pub(crate) const WEBSOCKET: u8 = 4;
    /// A WebSocket text frame with the event object: `tidings.v1`.
    pub(crate) const WEBSOCKET_OBJECT: u8 = 5;
    /// How many slots a hub caches.
    pub(crate) const COUNT: usize = 8;
}
