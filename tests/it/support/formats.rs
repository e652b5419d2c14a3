use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use tidings::subscriber::{EventRef, Format, Slot};

/// A format that writes one line for each event: sequence, topic, payload.
#[derive(Debug)]
pub(crate) struct LineFormat(pub(crate) Option<Slot>);

impl LineFormat {
    /// The format with a slot, so that a hub encodes each event once.
    pub(crate) const CACHED: Self = Self(Some(Slot::APPLICATION[0]));
}

impl Format for LineFormat {
    fn slot(&self) -> Option<Slot> {
        self.0
    }

    fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut) {
        let sequence = event.cursor.unwrap().sequence();
        let line = format!("{sequence} {} {}\n", event.topic, event.event.as_str().unwrap_or_default());
        out.extend_from_slice(line.as_bytes());
    }
}

/// [`LineFormat::CACHED`], which counts the events that it encodes.
#[derive(Debug, Default)]
pub(crate) struct CountingFormat(AtomicUsize);

impl CountingFormat {
    pub(crate) fn encoded(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Format for CountingFormat {
    fn slot(&self) -> Option<Slot> {
        LineFormat::CACHED.slot()
    }

    fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut) {
        self.0.fetch_add(1, Ordering::Relaxed);
        LineFormat::CACHED.encode(event, out);
    }
}
