use proptest::prelude::*;
use serde_json::json;
use tidings::transport::websocket::{Subprotocol, WebSocketConfig};
use tidings::{Event, EventKind, GapReason};

use super::{Frame, Visit};
use crate::support::{Feed, Step, any_event, any_history, put};

proptest! {
    #[test]
    fn every_payload_comes_back_as_it_was_however_it_is_cut(
        events in prop::collection::vec(any_event(), 0..12),
        later in prop::collection::vec(any_event(), 0..12),
        batch in 1_usize..5,
        bytes in 1_usize..300,
        cuts in prop::collection::vec(1_usize..40, 0..5),
    ) {
        let config = WebSocketConfig::default().max_batch_bytes(bytes);
        let mut visit = Visit::of(Feed::new(7), config, Subprotocol::Raw, |reader| reader.batches_of(batch));
        visit.client.cut(&cuts);
        let mut frames = Vec::new();
        for events in [&events, &later] {
            events.iter().for_each(|event| visit.publish(event.clone()));
            prop_assert_eq!(visit.run(), None);
            frames.extend(visit.frames());
        }
        prop_assert!(visit.client.is_flushed());
        let expected: Vec<_> = events.iter().chain(&later).map(raw).collect();
        prop_assert_eq!(frames, expected);
    }

    #[test]
    fn every_history_comes_back_as_objects_after_a_hello(
        history in any_history(),
        batch in 1_usize..5,
        cuts in prop::collection::vec(1_usize..40, 0..5),
    ) {
        let feed = Feed::new(7);
        let mut visit =
            Visit::of(feed, WebSocketConfig::default(), Subprotocol::TidingsV1, |reader| reader.batches_of(batch));
        visit.client.cut(&cuts);
        prop_assert_eq!(visit.run(), None);
        let expected = put(&history, &visit.feed);
        prop_assert_eq!(visit.run(), None);
        let objects: Vec<_> = visit.frames().iter().map(Frame::object).collect();
        let (hello, objects) = objects.split_first().unwrap();
        prop_assert_eq!(hello, &json!({ "tidings": "hello", "cursor": "7.0", "heartbeat_ms": 25_000 }));
        prop_assert_eq!(objects, expected);
    }

    #[test]
    fn a_client_that_resumes_with_the_cursor_it_was_given_last_misses_nothing(
        history in any_history(),
        at in 0_usize..12,
    ) {
        let mut first = Visit::objects();
        let (before, after) = history.split_at(at.min(history.len()));
        let mut expected = put(before, &first.feed);
        prop_assert_eq!(first.run(), None);
        prop_assert_eq!(first.pass(WebSocketConfig::default().ping), None);
        let mut objects: Vec<_> = first.frames().iter().filter(|frame| **frame != Frame::Ping).map(Frame::object).collect();
        let heartbeat = objects.pop().unwrap();
        prop_assert_eq!(&heartbeat["tidings"], "heartbeat");
        let cursor = heartbeat["cursor"].as_str().unwrap().parse().unwrap();

        expected.extend(put(after, &first.feed));
        let resumed = first.feed.resume(cursor);
        let mut second =
            Visit::of(first.feed.clone(), WebSocketConfig::default(), Subprotocol::TidingsV1, |_| resumed);
        prop_assert_eq!(second.run(), None);
        objects.extend(second.frames().iter().map(Frame::object));
        objects.retain(|object| object.get("tidings").is_none());
        prop_assert_eq!(objects, expected);
    }
}

#[test]
fn frames_of_every_length_have_their_header() {
    let mut visit = Visit::raw();
    let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000];
    lengths.iter().for_each(|&length| visit.publish("x".repeat(length)));
    assert_eq!(visit.run(), None);
    let frames: Vec<_> = lengths.iter().map(|&length| Frame::Text("x".repeat(length))).collect();
    assert_eq!(visit.frames(), frames);
}

#[test]
fn a_burst_is_one_write_and_asks_for_no_time() {
    let mut visit =
        Visit::of(Feed::new(7), WebSocketConfig::default(), Subprotocol::Raw, |reader| reader.batches_of(20));
    assert_eq!(visit.run(), None);
    let looks = visit.timer.looks();
    for burst in [1_usize, 100, 1, 3] {
        (0..burst).for_each(|_| visit.publish("tick"));
        assert_eq!(visit.task.wakes(), 1);
        visit.watch.polls();
        assert_eq!(visit.run(), None);
        assert_eq!((visit.client.writes(), visit.client.is_flushed()), (1, true), "a burst of {burst}");
        assert_eq!(visit.watch.polls(), burst.div_ceil(20) + 1);
        assert_eq!(visit.frames().len(), burst);
    }
    assert_eq!(visit.timer.looks(), looks);
}

#[test]
fn a_gap_goes_in_its_place_among_objects() {
    let mut visit = Visit::objects();
    visit.publish("before");
    visit.feed.gap(GapReason::Overflow, Some(3));
    visit.publish("after");
    assert_eq!(visit.run(), None);
    let objects: Vec<_> = visit.frames().iter().skip(1).map(Frame::object).collect();
    assert_eq!(objects[0]["data"], "before");
    assert_eq!(objects[1], json!({ "id": "7.2", "gap": { "reason": "overflow", "missed": 3 } }));
    assert_eq!(objects[2]["data"], "after");
}

#[test]
fn a_source_without_cursors_has_null_in_their_place() {
    let mut visit = Visit::of(Feed::new(0), WebSocketConfig::default(), Subprotocol::TidingsV1, |reader| reader);
    put(&[Step::Event("news".to_owned(), Event::text("x"))], &visit.feed);
    assert_eq!(visit.run(), None);
    let objects: Vec<_> = visit.frames().iter().map(Frame::object).collect();
    assert_eq!(objects[0]["cursor"], json!(null));
    assert_eq!(objects[1], json!({ "topic": "news", "data": "x" }));
}

#[test]
fn its_cursor_is_the_subscribers() {
    let mut visit = Visit::raw();
    let cursor = visit.feed.event("news", "x");
    assert_ne!(visit.sink.as_ref().unwrap().cursor(), cursor);
    assert_eq!(visit.run(), None);
    assert_eq!(visit.sink.as_ref().unwrap().cursor(), cursor);
}

fn raw(event: &Event) -> Frame {
    match event.kind() {
        EventKind::Binary => Frame::Binary(event.payload().to_vec()),
        _ => Frame::text(event.as_str().unwrap()),
    }
}
