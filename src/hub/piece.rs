use bytes::BytesMut;

use crate::contract::Encoding;

/// Encoded events of several topics.
#[derive(Default)]
pub(super) struct Piece {
    pub(super) bytes: BytesMut,
    pub(super) events: u32,
    pub(super) conflated: u32,
}

/// Result of joining events to a piece.
pub(super) enum Fit {
    /// They are in the piece, if there were any, and more may be added.
    More,
    /// They do not fit.
    Full,
    /// They are a piece of their own.
    Alone(Encoding),
}

impl Piece {
    #[inline]
    pub(super) fn add(&mut self, bytes: &[u8], events: u32) {
        self.bytes.extend_from_slice(bytes);
        self.events += events;
    }

    pub(super) fn encoding(self) -> Encoding {
        Encoding::new(self.bytes.freeze(), self.events).conflated(self.conflated)
    }
}
