use proptest::prelude::*;
use serde_json::json;
use tidings::transport::websocket::{Subprotocol, WebSocketConfig};
use tidings::{Event, EventKind, GapReason};

use super::{Connection, Frame};
use crate::support::{Feed, Step, any_change, any_history, put};

proptest! {
    #[test]
    fn raw_payloads_are_read_back_however_the_writes_are_cut(
        events in prop::collection::vec(any_change(), 0..12),
        later in prop::collection::vec(any_change(), 0..12),
        batch in 1_usize..5,
        bytes in 1_usize..300,
        cuts in prop::collection::vec(1_usize..40, 0..5),
    ) {
        let config = WebSocketConfig::default().max_batch_bytes(bytes);
        let mut connection = Connection::of(Feed::new(7), config, Subprotocol::Raw, |reader| reader.batches_of(batch));
        connection.client.cut(&cuts);
        let mut frames = Vec::new();
        for events in [&events, &later] {
            events.iter().for_each(|event| connection.publish(event.clone()));
            prop_assert_eq!(connection.run(), None);
            frames.extend(connection.frames());
        }
        prop_assert!(connection.client.is_flushed());
        let all = || events.iter().chain(&later);
        let expected: Vec<_> = all().filter(|event| !event.is_removal()).map(raw).collect();
        prop_assert_eq!(frames, expected);
        let removals = all().filter(|event| event.is_removal()).count();
        prop_assert_eq!(connection.sink.as_ref().unwrap().unsent_removals() as usize, removals);
    }

    #[test]
    fn objects_are_read_back_after_a_hello(
        history in any_history(),
        batch in 1_usize..5,
        cuts in prop::collection::vec(1_usize..40, 0..5),
    ) {
        let feed = Feed::new(7);
        let mut connection =
            Connection::of(feed, WebSocketConfig::default(), Subprotocol::TidingsV1, |reader| reader.batches_of(batch));
        connection.client.cut(&cuts);
        prop_assert_eq!(connection.run(), None);
        let expected = put(&history, &connection.feed);
        prop_assert_eq!(connection.run(), None);
        let objects: Vec<_> = connection.frames().iter().map(Frame::object).collect();
        let (hello, objects) = objects.split_first().unwrap();
        prop_assert_eq!(hello, &json!({ "tidings": "hello", "cursor": "7.0", "heartbeat_ms": 25_000 }));
        prop_assert_eq!(objects, expected);
    }

    #[test]
    fn resume_at_the_cursor_of_the_last_heartbeat_misses_nothing(
        history in any_history(),
        at in 0_usize..12,
    ) {
        let mut first = Connection::objects();
        let (before, after) = history.split_at(at.min(history.len()));
        let mut expected = put(before, &first.feed);
        prop_assert_eq!(first.run(), None);
        prop_assert_eq!(first.advance(WebSocketConfig::default().ping), None);
        let mut objects: Vec<_> = first.frames().iter().filter(|frame| **frame != Frame::Ping).map(Frame::object).collect();
        let heartbeat = objects.pop().unwrap();
        prop_assert_eq!(&heartbeat["tidings"], "heartbeat");
        let cursor = heartbeat["cursor"].as_str().unwrap().parse().unwrap();

        expected.extend(put(after, &first.feed));
        let resumed = first.feed.resume(cursor);
        let mut second =
            Connection::of(first.feed.clone(), WebSocketConfig::default(), Subprotocol::TidingsV1, |_| resumed);
        prop_assert_eq!(second.run(), None);
        objects.extend(second.frames().iter().map(Frame::object));
        objects.retain(|object| object.get("tidings").is_none());
        prop_assert_eq!(objects, expected);
    }
}

#[test]
fn frames_of_every_length_class_have_a_valid_header() {
    let mut connection = Connection::raw();
    let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000];
    lengths.iter().for_each(|&length| connection.publish("x".repeat(length)));
    assert_eq!(connection.run(), None);
    let frames: Vec<_> = lengths.iter().map(|&length| Frame::Text("x".repeat(length))).collect();
    assert_eq!(connection.frames(), frames);
}

#[test]
fn burst_is_one_write_and_reads_no_clock() {
    let mut connection =
        Connection::of(Feed::new(7), WebSocketConfig::default(), Subprotocol::Raw, |reader| reader.batches_of(20));
    assert_eq!(connection.run(), None);
    let looks = connection.timer.looks();
    for burst in [1_usize, 100, 1, 3] {
        (0..burst).for_each(|_| connection.publish("tick"));
        assert_eq!(connection.task.wakes(), 1);
        connection.counts.polls();
        assert_eq!(connection.run(), None);
        assert_eq!((connection.client.writes(), connection.client.is_flushed()), (1, true), "a burst of {burst}");
        assert_eq!(connection.counts.polls(), burst.div_ceil(20) + 1);
        assert_eq!(connection.frames().len(), burst);
    }
    assert_eq!(connection.timer.looks(), looks);
}

#[test]
fn gap_is_sent_in_order_among_objects() {
    let mut connection = Connection::objects();
    connection.publish("before");
    connection.feed.gap(GapReason::Overflow, Some(3));
    connection.publish("after");
    assert_eq!(connection.run(), None);
    let objects: Vec<_> = connection.frames().iter().skip(1).map(Frame::object).collect();
    assert_eq!(objects[0]["data"], "before");
    assert_eq!(objects[1], json!({ "id": "7.a2", "gap": { "reason": "overflow", "missed": 3 } }));
    assert_eq!(objects[2]["data"], "after");
}

#[test]
fn source_without_cursors_sends_a_null_cursor_and_no_ids() {
    let mut connection =
        Connection::of(Feed::new(0), WebSocketConfig::default(), Subprotocol::TidingsV1, |reader| reader);
    put(&[Step::Event("news".to_owned(), Event::text("x"))], &connection.feed);
    assert_eq!(connection.run(), None);
    let objects: Vec<_> = connection.frames().iter().map(Frame::object).collect();
    assert_eq!(objects[0]["cursor"], json!(null));
    assert_eq!(objects[1], json!({ "topic": "news", "data": "x" }));
}

#[test]
fn sink_cursor_equals_the_cursor_of_its_subscriber() {
    let mut connection = Connection::raw();
    let cursor = connection.feed.event("news", "x");
    assert_ne!(connection.sink.as_ref().unwrap().cursor(), cursor);
    assert_eq!(connection.run(), None);
    assert_eq!(connection.sink.as_ref().unwrap().cursor(), cursor);
}

/// The frames of a delivery are counted, whatever the length of its payloads.
#[test]
fn raw_removals_write_nothing_and_are_counted() {
    let mut connection = Connection::raw();
    assert_eq!(connection.run(), None);
    let unsent = |connection: &Connection| connection.sink.as_ref().unwrap().unsent_removals();
    for _ in 0..3 {
        connection.publish(Event::removal("a").unwrap());
    }
    assert_eq!(connection.run(), None);
    assert_eq!((connection.client.writes(), connection.frames(), unsent(&connection)), (0, vec![], 3));
    let lengths = [0, 125, 126, 65_535, 65_536];
    for length in lengths {
        connection.publish(Event::removal("a").unwrap());
        connection.publish("x".repeat(length));
    }
    connection.publish(Event::removal("a").unwrap());
    assert_eq!(connection.run(), None);
    assert_eq!(connection.frames(), lengths.map(|length| Frame::Text("x".repeat(length))));
    assert_eq!(unsent(&connection), 9);
    let mut connection = Connection::objects();
    connection.publish(Event::removal("a").unwrap());
    assert_eq!(connection.run(), None);
    assert_eq!((connection.frames().len(), unsent(&connection)), (2, 0));
}

fn raw(event: &Event) -> Frame {
    match event.kind() {
        EventKind::Binary => Frame::Binary(event.payload().to_vec()),
        _ => Frame::text(event.as_str().unwrap()),
    }
}
