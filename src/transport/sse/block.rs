use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::model::{Cursor, Gap};
use crate::transport::object::{write_gap, write_heartbeat, write_hello, write_millis};

/// Returns the block that tells a client when to reconnect: `event: tidings.retry`, with the client's own cursor as `id:` so
/// that it keeps it. As the answer to a client that is to come later it is sent with status 200, and the body is aborted
/// after it: an EventSource takes any other status as final, and reconnects by itself after a 200 that breaks off.
#[must_use]
pub(crate) fn sse_retry_block(retry: Duration, cursor: Option<Cursor>) -> Bytes {
    let mut out = BytesMut::with_capacity(128);
    out.extend_from_slice(b"event: tidings.retry\n");
    write_retry(retry, &mut out);
    out.extend_from_slice(b"data: {\"retry_ms\":");
    write_millis(retry, &mut out);
    out.extend_from_slice(b"}");
    end_block(cursor, &mut out);
    out.freeze()
}

/// Appends `retry: 1500` and a line feed: a line of a block, which must go on.
pub(super) fn write_retry(retry: Duration, out: &mut BytesMut) {
    out.extend_from_slice(b"retry: ");
    write_millis(retry, out);
    out.extend_from_slice(b"\n");
}

/// Appends the block of a gap.
pub(super) fn write_gap_block(gap: &Gap, out: &mut BytesMut) {
    out.extend_from_slice(b"event: tidings.gap\ndata: ");
    write_gap(gap, out);
    end_block(Some(gap.cursor), out);
}

/// Appends the block of a visible heartbeat.
pub(super) fn write_heartbeat_block(cursor: Option<Cursor>, out: &mut BytesMut) {
    out.extend_from_slice(b"event: tidings.heartbeat\ndata: ");
    write_heartbeat(cursor, out);
    end_block(cursor, out);
}

/// Appends the block that begins a stream.
pub(super) fn write_hello_block(cursor: Option<Cursor>, heartbeat: Option<Duration>, out: &mut BytesMut) {
    out.extend_from_slice(b"event: tidings.hello\ndata: ");
    write_hello(cursor, heartbeat, out);
    end_block(cursor, out);
}

/// Ends the last `data:` line, writes `id:` last (some readers commit it at once, so a block that is cut before must
/// not have it), and the empty line.
pub(super) fn end_block(cursor: Option<Cursor>, out: &mut BytesMut) {
    match cursor {
        Some(cursor) => {
            out.extend_from_slice(b"\nid: ");
            cursor.encode(out);
            out.extend_from_slice(b"\n\n");
        }
        None => out.extend_from_slice(b"\n\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_block_has_the_time_and_the_cursor_of_the_client() {
        let cursor = "7.3".parse().ok();
        for (millis, cursor, block) in [
            (1_500, cursor, "event: tidings.retry\nretry: 1500\ndata: {\"retry_ms\":1500}\nid: 7.3\n\n"),
            (2_000, None, "event: tidings.retry\nretry: 2000\ndata: {\"retry_ms\":2000}\n\n"),
            (0, cursor, "event: tidings.retry\nretry: 1\ndata: {\"retry_ms\":1}\nid: 7.3\n\n"),
        ] {
            assert_eq!(sse_retry_block(Duration::from_millis(millis), cursor), block);
        }
    }
}
