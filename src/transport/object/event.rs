use bytes::BytesMut;

use super::{write_base64, write_string};
use crate::contract::EventRef;
use crate::model::{Cursor, Event, EventKind, Gap, TopicEnd};

/// Appends `{"id":"7.a3","topic":"news","key":"ACME","event":"price","data":…}`, or
/// `{"id":"7.a3","topic":"news","key":"ACME","removed":true}` for a removal.
///
/// `id` is absent if the source has no cursors, `key` and `event` if the event has none. `data` is the payload itself
/// if it is JSON and a string if it is text. A binary payload is a base64 string, and `"encoding":"base64"` follows.
pub(crate) fn write_event(published: &EventRef<'_>, out: &mut BytesMut) {
    let event = published.event;
    // Space for the payload and the fixed part, which is seldom longer. Escapes may need more.
    out.reserve(event.payload().len() + published.topic.as_str().len() + 96);
    match published.cursor {
        Some(cursor) => {
            out.extend_from_slice(b"{\"id\":\"");
            cursor.encode(out);
            out.extend_from_slice(b"\",\"topic\":");
        }
        None => out.extend_from_slice(b"{\"topic\":"),
    }
    write_string(published.topic.as_str().as_bytes(), out);
    if let Some(key) = event.key() {
        out.extend_from_slice(b",\"key\":");
        write_string(key.as_bytes(), out);
    }
    if event.is_removal() {
        return out.extend_from_slice(b",\"removed\":true}");
    }
    if let Some(name) = event.name() {
        out.extend_from_slice(b",\"event\":");
        write_string(name.as_bytes(), out);
    }
    out.extend_from_slice(b",\"data\":");
    write_data(event, out);
}

/// Appends the object of an event that answers a message, `{"event":"price","data":…}`: an event object without `id` and
/// `topic`.
pub(crate) fn write_answer(event: &Event, out: &mut BytesMut) {
    out.extend_from_slice(b"{");
    if let Some(name) = event.name() {
        out.extend_from_slice(b"\"event\":");
        write_string(name.as_bytes(), out);
        out.extend_from_slice(b",");
    }
    out.extend_from_slice(b"\"data\":");
    write_data(event, out);
}

/// Appends the payload and the end of the object.
#[inline]
fn write_data(event: &Event, out: &mut BytesMut) {
    match event.kind() {
        EventKind::Json => out.extend_from_slice(event.payload()),
        EventKind::Text => write_string(event.payload(), out),
        EventKind::Binary => {
            out.extend_from_slice(b"\"");
            write_base64(event.payload(), out);
            out.extend_from_slice(b"\",\"encoding\":\"base64\"");
        }
        EventKind::Removal => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b"}");
}

/// Appends `{"id":"7.a9","gap":{"reason":"evicted","missed":12,"topic":"news"}}`.
///
/// `missed` is null if the number is not known. `topic` is absent if the events are of several topics.
pub(crate) fn write_gap(gap: &Gap, out: &mut BytesMut) {
    out.extend_from_slice(b"{\"id\":\"");
    gap.cursor.encode(out);
    out.extend_from_slice(b"\",\"gap\":{\"reason\":\"");
    out.extend_from_slice(gap.reason.as_str().as_bytes());
    out.extend_from_slice(b"\",\"missed\":");
    match gap.missed {
        Some(missed) => out.extend_from_slice(itoa::Buffer::new().format(missed).as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
    if let Some(topic) = &gap.topic {
        out.extend_from_slice(b",\"topic\":");
        write_string(topic.as_str().as_bytes(), out);
    }
    if gap.snapshot {
        out.extend_from_slice(b",\"snapshot\":true");
    }
    out.extend_from_slice(b"}}");
}

/// Appends `{"id":"7.a9","end":{"topic":"news","reason":"done"}}`.
pub(crate) fn write_topic_end(end: &TopicEnd, out: &mut BytesMut) {
    out.extend_from_slice(b"{\"id\":\"");
    end.cursor.encode(out);
    out.extend_from_slice(b"\",\"end\":{\"topic\":");
    write_string(end.topic.as_str().as_bytes(), out);
    out.extend_from_slice(b",\"reason\":\"");
    out.extend_from_slice(end.reason.as_str().as_bytes());
    out.extend_from_slice(b"\"}}");
}

/// Appends `{"id":"7.a9","end":{}}`: all topics had ended before, and nothing was left. Without a cursor `id` is the reserved
/// one.
pub(crate) fn write_end(cursor: Option<Cursor>, out: &mut BytesMut) {
    out.extend_from_slice(b"{\"id\":\"");
    cursor.unwrap_or(TopicEnd::RESERVED_CURSOR).encode(out);
    out.extend_from_slice(b"\",\"end\":{}}");
}
