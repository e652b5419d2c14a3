use std::time::Duration;

use bytes::BytesMut;

#[cfg(feature = "websocket")]
use super::write_string;
#[cfg(feature = "websocket")]
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
#[cfg(feature = "websocket")]
pub(crate) fn write_error(rejection: &Rejection, out: &mut BytesMut) {
    out.extend_from_slice(b"{\"tidings\":\"error\",\"code\":\"");
    out.extend_from_slice(rejection.code().as_bytes());
    out.extend_from_slice(b"\",\"message\":");
    write_string(rejection.message().as_bytes(), out);
    if let Rejection::Busy { retry_after } = rejection.kind() {
        out.extend_from_slice(b",\"retry_ms\":");
        write_millis(*retry_after, out);
    }
    out.extend_from_slice(b"}");
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
