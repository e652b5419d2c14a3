use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::model::{Cursor, Gap, TopicEnd};
use crate::transport::limit;
use crate::transport::object::{write_end, write_gap, write_heartbeat, write_hello, write_millis, write_topic_end};

/// Returns a block `event: tidings.retry`, which asks a client to reconnect after `retry`, at least 1 ms.
///
/// An endpoint rejects an `EventSource` with status 200, this block with the client's own cursor as `id:`, and an error in
/// the body. An `EventSource` does not reconnect after another status than 200. After a body that ends with an error it
/// reconnects after the `retry:` of the block.
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

/// Appends `retry: 1500` and a line feed. The caller appends the rest of the block.
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

/// Appends the block of the end of one topic. That of the last topic is the last block of the stream.
pub(super) fn write_topic_end_block(end: &TopicEnd, out: &mut BytesMut) {
    match end.is_last {
        true => begin_end_block(out),
        false => out.extend_from_slice(b"event: tidings.topic_end\ndata: "),
    }
    write_topic_end(end, out);
    end_block(Some(end.cursor), out);
}

/// Appends the last block of a stream whose subscriber did not yield the end of its last topic.
pub(super) fn write_end_block(cursor: Option<Cursor>, out: &mut BytesMut) {
    let cursor = cursor.unwrap_or(TopicEnd::RESERVED_CURSOR);
    begin_end_block(out);
    write_end(Some(cursor), out);
    end_block(Some(cursor), out);
}

fn begin_end_block(out: &mut BytesMut) {
    out.extend_from_slice(b"event: tidings.end\n");
    write_retry(limit::AFTER_END, out);
    out.extend_from_slice(b"data: ");
}

/// Appends the block of a visible heartbeat.
pub(super) fn write_heartbeat_block(cursor: Option<Cursor>, out: &mut BytesMut) {
    out.extend_from_slice(b"event: tidings.heartbeat\ndata: ");
    write_heartbeat(cursor, out);
    end_block(cursor, out);
}

/// Appends a keep-alive with the client's last event id. It has no empty line, as a comment has none, so the next block ends it.
pub(super) fn write_id_line(cursor: Cursor, out: &mut BytesMut) {
    out.extend_from_slice(b"id: ");
    cursor.encode(out);
    out.extend_from_slice(b"\n");
}

/// Appends the first block of a stream.
pub(super) fn write_hello_block(cursor: Option<Cursor>, heartbeat: Option<Duration>, out: &mut BytesMut) {
    out.extend_from_slice(b"event: tidings.hello\ndata: ");
    write_hello(cursor, heartbeat, out);
    end_block(cursor, out);
}

/// Ends the last `data:` line and appends `id:` and the empty line. `id:` is the last field, because some readers store it
/// as soon as they read it: a block that is cut before its end must not have it.
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
        let cursor = "7.a3".parse().ok();
        for (millis, cursor, block) in [
            (1_500, cursor, "event: tidings.retry\nretry: 1500\ndata: {\"retry_ms\":1500}\nid: 7.a3\n\n"),
            (2_000, None, "event: tidings.retry\nretry: 2000\ndata: {\"retry_ms\":2000}\n\n"),
            (0, cursor, "event: tidings.retry\nretry: 1\ndata: {\"retry_ms\":1}\nid: 7.a3\n\n"),
        ] {
            assert_eq!(sse_retry_block(Duration::from_millis(millis), cursor), block);
        }
    }
}
