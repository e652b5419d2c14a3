use std::time::Duration;

use bytes::BytesMut;

use super::write_string;
use crate::contract::Rejection;
use crate::model::Cursor;

/// Appends `{"tidings":"hello","cursor":"7.a3","heartbeat_ms":15000}`: the client's position, or null if the source has no
/// cursors, and the longest silence between visible heartbeats, or null if there are none.
pub(crate) fn write_hello(cursor: Option<Cursor>, heartbeat: Option<Duration>, out: &mut BytesMut) {
    out.extend_from_slice(b"{\"tidings\":\"hello\",\"cursor\":");
    write_cursor(cursor, out);
    out.extend_from_slice(b",\"heartbeat_ms\":");
    match heartbeat {
        Some(heartbeat) => write_millis(heartbeat, out),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b"}");
}

/// Appends `{"tidings":"heartbeat","cursor":"7.a3"}`.
pub(crate) fn write_heartbeat(cursor: Option<Cursor>, out: &mut BytesMut) {
    out.extend_from_slice(b"{\"tidings\":\"heartbeat\",\"cursor\":");
    write_cursor(cursor, out);
    out.extend_from_slice(b"}");
}

/// Appends `{"tidings":"bye","retry_ms":1500}`: the connection ends, and the client should reconnect after this time.
pub(crate) fn write_bye(retry: Duration, out: &mut BytesMut) {
    out.extend_from_slice(b"{\"tidings\":\"bye\",\"retry_ms\":");
    write_millis(retry, out);
    out.extend_from_slice(b"}");
}

/// Appends `{"tidings":"error","code":"busy","message":"busy, retry after 1500 ms","retry_ms":1500}`: the client's message
/// was rejected. Only `busy` has `retry_ms`.
pub(crate) fn write_error(rejection: &Rejection, out: &mut BytesMut) {
    write_open_error(rejection, &rejection.message(), out);
    out.extend_from_slice(b"}");
}

/// Appends `{"tidings":"error","code":"forbidden","message":"forbidden","topics":["news"]}`: the client's change of its
/// topics was refused.
pub(crate) fn write_topics_error<'a>(
    rejection: &Rejection,
    message: &str,
    topics: impl Iterator<Item = &'a str>,
    out: &mut BytesMut,
) {
    write_open_error(rejection, message, out);
    out.extend_from_slice(b",\"topics\":");
    write_names(topics, out);
    out.extend_from_slice(b"}");
}

/// Appends `{"tidings":"topics","topics":["news"],"cursor":"7.a3"}`: the client follows these topics, and has
/// everything up to the cursor.
pub(crate) fn write_topics<'a>(topics: impl Iterator<Item = &'a str>, cursor: Option<Cursor>, out: &mut BytesMut) {
    out.extend_from_slice(b"{\"tidings\":\"topics\",\"topics\":");
    write_names(topics, out);
    out.extend_from_slice(b",\"cursor\":");
    write_cursor(cursor, out);
    out.extend_from_slice(b"}");
}

/// Appends an array of strings.
fn write_names<'a>(names: impl Iterator<Item = &'a str>, out: &mut BytesMut) {
    out.extend_from_slice(b"[");
    for (at, name) in names.enumerate() {
        if at > 0 {
            out.extend_from_slice(b",");
        }
        write_string(name.as_bytes(), out);
    }
    out.extend_from_slice(b"]");
}

/// Appends an error object without its end.
fn write_open_error(rejection: &Rejection, message: &str, out: &mut BytesMut) {
    out.extend_from_slice(b"{\"tidings\":\"error\",\"code\":\"");
    out.extend_from_slice(rejection.code().as_bytes());
    out.extend_from_slice(b"\",\"message\":");
    write_string(message.as_bytes(), out);
    if let Rejection::Busy { retry_after } = rejection.kind() {
        out.extend_from_slice(b",\"retry_ms\":");
        write_millis(*retry_after, out);
    }
}

/// Appends a cursor as a JSON string, or null.
pub(crate) fn write_cursor(cursor: Option<Cursor>, out: &mut BytesMut) {
    match cursor {
        Some(cursor) => {
            out.extend_from_slice(b"\"");
            cursor.encode(out);
            out.extend_from_slice(b"\"");
        }
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends whole milliseconds, at least 1, because a client may retry without a pause if it reads 0.
pub(crate) fn write_millis(duration: Duration, out: &mut BytesMut) {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1);
    out.extend_from_slice(itoa::Buffer::new().format(millis).as_bytes());
}
