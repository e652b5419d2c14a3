use bytes::BytesMut;

use super::block::end_block;
use crate::contract::{EventRef, Format, Slot, place};
use crate::model::EventKind;
use crate::transport::object::{write_base64, write_event};

/// Returns the format of a stream without control blocks, which leaves removals out.
#[cold]
pub(super) fn without_removals(objects: bool) -> &'static dyn Format {
    match objects {
        false => &WithoutRemovals(Plain, place::SSE_EVENTS),
        true => &WithoutRemovals(Object, place::SSE_OBJECT_EVENTS),
    }
}

/// Format of an event as a block with its payload as data. A binary payload is base64. A removal is a block
/// `event: tidings.removed` with the event object as data.
pub(super) struct Plain;

impl Format for Plain {
    fn slot(&self) -> Option<Slot> {
        Some(place::SSE)
    }

    fn encode(&self, published: &EventRef<'_>, out: &mut BytesMut) {
        let event = published.event;
        if event.is_removal() {
            out.extend_from_slice(b"event: tidings.removed\ndata: ");
            write_event(published, out);
            return end_block(published.cursor, out);
        }
        out.reserve(event.payload().len() + 64);
        if let Some(name) = event.name() {
            // A name has no line breaks, because it has no control characters.
            out.extend_from_slice(b"event: ");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\n");
        }
        out.extend_from_slice(b"data: ");
        match event.kind() {
            EventKind::Text | EventKind::Json => write_lines(event.payload(), out),
            EventKind::Binary => write_base64(event.payload(), out),
            EventKind::Removal => {}
        }
        end_block(published.cursor, out);
    }
}

/// Format of an event as a block with the event object as data. It has no `event:`, so an `EventSource` calls `onmessage`.
pub(super) struct Object;

impl Format for Object {
    fn slot(&self) -> Option<Slot> {
        Some(place::SSE_OBJECT)
    }

    fn encode(&self, published: &EventRef<'_>, out: &mut BytesMut) {
        out.extend_from_slice(b"data: ");
        write_event(published, out);
        end_block(published.cursor, out);
    }
}

/// Format of the same blocks as another one, without those of removals.
struct WithoutRemovals<F>(F, Slot);

impl<F: Format> Format for WithoutRemovals<F> {
    fn slot(&self) -> Option<Slot> {
        Some(self.1)
    }

    fn encode(&self, published: &EventRef<'_>, out: &mut BytesMut) {
        if !published.event.is_removal() {
            self.0.encode(published, out);
        }
    }
}

/// Appends text, with a new `data:` line after each line end (CRLF, CR or LF).
fn write_lines(text: &[u8], out: &mut BytesMut) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\n' || byte == b'\r') {
        let (line, end) = rest.split_at(at);
        out.extend_from_slice(line);
        out.extend_from_slice(b"\ndata: ");
        rest = end.strip_prefix(b"\r\n").unwrap_or(&end[1..]);
    }
    out.extend_from_slice(rest);
}
