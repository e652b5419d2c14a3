use bytes::{Bytes, BytesMut};

use crate::contract::{EventRef, Format};

/// Buffer of encoded events, up to a limit of bytes. The first event may exceed it.
pub(crate) struct Encoder<'a> {
    format: &'a dyn Format,
    max: usize,
    bytes: BytesMut,
    events: u32,
}

impl<'a> Encoder<'a> {
    pub(crate) fn new(format: &'a dyn Format, max: usize) -> Self {
        Self { format, max, bytes: BytesMut::new(), events: 0 }
    }

    /// Encodes events until one does not fit. Returns their bytes and their number.
    pub(crate) fn encode<'e>(
        events: impl Iterator<Item = EventRef<'e>>,
        format: &'a dyn Format,
        max: usize,
    ) -> (Bytes, u32) {
        let mut this = Self::new(format, max);
        for event in events {
            if !this.push(&event) {
                break;
            }
        }
        this.finish()
    }

    /// Adds an event. Returns `false` if it does not fit.
    pub(crate) fn push(&mut self, event: &EventRef<'_>) -> bool {
        let whole = self.bytes.len();
        self.format.encode(event, &mut self.bytes);
        let fits = self.events == 0 || self.bytes.len() <= self.max;
        if fits {
            self.events += 1;
        } else {
            self.bytes.truncate(whole);
        }
        fits
    }

    /// Returns the bytes and the number of the events.
    pub(crate) fn finish(self) -> (Bytes, u32) {
        (self.bytes.freeze(), self.events)
    }
}
