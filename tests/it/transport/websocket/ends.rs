use serde_json::json;
use tidings::subscriber::SubscriptionEnd;
use tidings::transport::websocket::{CloseCause, Subprotocol, WebSocketConfig};
use tidings::{Cursor, EndReason};

use super::{Connection, Frame};
use crate::support::Feed;

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
fn closed_hub_is_told_by_the_close_alone() {
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
