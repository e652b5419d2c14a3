use std::io::Read;

use serde_json::json;
use tidings::subscriber::SubscriptionEnd;
use tidings::transport::websocket::{CloseCause, Subprotocol, WebSocketConfig};
use tidings::{Cursor, EndReason, GapReason};

use super::{Connection, Frame};
use crate::clients::{ClientEnd, Inbox, Seen, WebSocketWire, Wire};
use crate::support::{Feed, Reader};

#[test]
fn objects_tell_each_end_and_then_close() {
    let mut connection = Connection::objects();
    connection.publish("first");
    connection.feed.topic_end("scores", EndReason::Failed);
    connection.publish("second");
    connection.feed.last_topic_end("news", EndReason::Done);
    assert_eq!(connection.run(), None);
    let mut frames = connection.frames();
    assert_eq!(frames.pop(), Some(Frame::close(1000, "finished")));
    let objects: Vec<_> = frames.iter().skip(1).map(Frame::object).collect();
    let id = |sequence| Cursor::new(7, sequence).to_string();
    assert_eq!(objects[1], json!({ "id": id(2), "end": { "topic": "scores", "reason": "failed" } }));
    assert_eq!(objects[3], json!({ "id": id(4), "end": { "topic": "news", "reason": "done" } }));
    assert_eq!(objects.len(), 4);
    let closed = connection.answer().unwrap();
    assert!(closed.clean && closed.cause == CloseCause::End(SubscriptionEnd::Finished));
}

#[test]
fn objects_after_the_last_end_are_a_hello_and_an_end() {
    let feed = Feed::new(7);
    let last = feed.last_topic_end("news", EndReason::Done);
    let resumed = feed.resume(last);
    let mut connection = Connection::of(feed, WebSocketConfig::default(), Subprotocol::TidingsV1, |_| resumed);
    assert_eq!(connection.run(), None);
    let mut frames = connection.frames();
    assert_eq!(frames.pop(), Some(Frame::close(1000, "finished")));
    let objects: Vec<_> = frames.iter().map(Frame::object).collect();
    let last = last.to_string();
    assert_eq!(
        objects,
        [json!({ "tidings": "hello", "cursor": last, "heartbeat_ms": 25_000 }), json!({ "id": last, "end": {} }),]
    );
}

#[test]
fn closed_hub_sends_the_close_alone() {
    let mut connection = Connection::objects();
    connection.feed.end(SubscriptionEnd::Closed);
    assert_eq!(connection.run(), None);
    let frames = connection.frames();
    assert_eq!((frames.len(), frames.last()), (2, Some(&Frame::close(1000, "finished"))));
}

#[test]
fn raw_frames_tell_the_last_end_by_the_close_alone() {
    let mut connection = Connection::raw();
    connection.publish("first");
    connection.feed.topic_end("scores", EndReason::Done);
    connection.publish("second");
    assert_eq!(connection.run(), None);
    assert_eq!(connection.frames(), [Frame::text("first"), Frame::text("second")]);
    connection.feed.last_topic_end("news", EndReason::Stopped);
    assert_eq!(connection.run(), None);
    assert_eq!(connection.frames(), [Frame::close(1000, "finished")]);
    assert!(connection.answer().unwrap().clean);
}

/// Returns the bytes of a connection to this reader, up to its Close.
fn bytes(feed: &Feed, reader: Reader) -> Vec<u8> {
    let mut connection = Connection::of(feed.clone(), WebSocketConfig::default(), Subprotocol::TidingsV1, |_| reader);
    assert_eq!(connection.run(), None);
    let (mut bytes, mut buffer) = (Vec::new(), [0; 64]);
    while let Ok(read @ 1..) = connection.client.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..read]);
    }
    bytes
}

/// Returns the items in the bytes, and the cursor after them.
fn items(bytes: &[u8]) -> (Vec<Seen>, Option<Cursor>) {
    let (mut wire, mut inbox) = (WebSocketWire::objects(), Inbox::default());
    wire.read(bytes, &mut inbox).unwrap();
    let seen = std::iter::from_fn(|| inbox.take()).collect();
    (seen, inbox.cursor().map(|cursor| cursor.parse().unwrap()))
}

#[test]
fn connection_cut_at_every_byte_and_resumed_delivers_each_end_once() {
    let feed = Feed::new(7);
    feed.event("a", "first");
    feed.topic_end("b", EndReason::Stopped);
    feed.gap(GapReason::Overflow, Some(1));
    feed.topic_end("c", EndReason::Failed);
    feed.event("a", "last");
    feed.last_topic_end("a", EndReason::Done);
    let whole = bytes(&feed, feed.reader());
    let (expected, _) = items(&whole);
    assert_eq!((expected.len(), expected.last()), (7, Some(&Seen::End(ClientEnd::Finished))));
    for cut in 0..whole.len() {
        let (mut seen, cursor) = items(&whole[..cut]);
        let (rest, _) = items(&bytes(&feed, feed.resume(cursor.unwrap_or(Cursor::new(7, 0)))));
        seen.extend(rest);
        assert_eq!(seen, expected, "cut at {cut}");
    }
}
