use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use tidings::transport::websocket::{CloseCause, CloseCode, Subprotocol, WebSocketConfig, WebSocketSink};
use tidings::{Event, Rejection};

use super::{ClientEnd, Connection, Frame, Gate, ServerEnd, masked};
use crate::support::{Feed, Task, VirtualTimer};

/// Heartbeats that client libraries send by themselves.
const HEARTBEATS: [&[u8]; 3] = [b"ping", br#"{"type":"ping"}"#, b""];

/// Returns a connection without a handler.
fn without_handler(config: WebSocketConfig) -> (ClientEnd, WebSocketSink<impl tidings::Subscriber, ServerEnd>, Feed) {
    let ((client, wire), feed) = (ClientEnd::connect(), Feed::new(7));
    let sink = WebSocketSink::new(wire, feed.reader(), Arc::new(VirtualTimer::new()), config);
    (client, sink, feed)
}

#[test]
fn sink_without_handler_ignores_and_counts_messages() {
    let ((client, mut sink, feed), task) = (without_handler(WebSocketConfig::default()), Task::new());
    HEARTBEATS.iter().for_each(|heartbeat| client.send(&masked(0x81, heartbeat)));
    client.send(&masked(0x82, b"\xff"));
    feed.event("news", "an event");
    assert!(task.poll(&mut sink).is_pending());
    assert_eq!(sink.ignored_messages(), 4);
    let mut seen = Vec::new();
    let _ = std::io::Read::read_to_end(&mut client.clone(), &mut seen);
    assert_eq!(seen, [&[0x81, 8][..], b"an event"].concat(), "only the event is sent");
}

#[test]
fn ignored_messages_above_the_rate_close_with_1008() {
    let ((client, mut sink, _feed), task) = (without_handler(WebSocketConfig::default().message_rate(20)), Task::new());
    client.send(&masked(0x81, b"ping").repeat(21));
    while task.poll(&mut sink).is_pending() && task.wakes() > 0 {}
    client.end();
    let std::task::Poll::Ready(closed) = task.poll(&mut sink) else { panic!("the connection is open") };
    assert_eq!((closed.cause, closed.code), (CloseCause::Violation, Some(CloseCode::POLICY)));
}

#[test]
fn handler_that_takes_no_messages_ignores_and_counts_them() {
    for mut connection in [Connection::raw(), Connection::objects()] {
        connection = connection.receive(|_| ready(Err(Rejection::Unsupported)));
        assert_eq!(connection.run(), None);
        connection.frames();
        HEARTBEATS.iter().for_each(|heartbeat| assert_eq!(connection.send(&masked(0x81, heartbeat)), None));
        assert_eq!((connection.frames(), connection.sink.as_ref().unwrap().ignored_messages()), (vec![], 3));
    }
}

#[test]
fn rejected_message_gets_an_error_object_and_does_not_close() {
    for (rejection, code, message, retry) in [
        (Rejection::Forbidden, "forbidden", "forbidden", None),
        (Rejection::NotFound, "not_found", "not found", None),
        (Rejection::Gone, "gone", "gone", None),
        (Rejection::Busy { retry_after: Duration::from_secs(2) }, "busy", "busy, retry after 2000 ms", Some(2_000)),
        (Rejection::invalid("no \"verb\"\n"), "invalid", "no \"verb\"\n", None),
        (Rejection::internal("the secret"), "internal", "internal error", None),
    ] {
        let reject = move |_| ready(Err(rejection.clone()));
        let mut connection = Connection::objects().receive(reject.clone());
        assert_eq!(connection.run(), None);
        connection.frames();
        assert_eq!(connection.send(&masked(0x81, b"message").repeat(2)), None);
        connection.publish("an event");
        assert_eq!(connection.run(), None);
        let frames = connection.frames();
        let mut expected = json!({ "tidings": "error", "code": code, "message": message });
        if let Some(retry) = retry {
            expected["retry_ms"] = retry.into();
        }
        assert_eq!((frames[0].object(), frames[1].object()), (expected.clone(), expected));
        assert_eq!((frames[2].object()["data"].clone(), frames.len()), (json!("an event"), 3));

        // Raw frames carry payloads only.
        let mut connection = Connection::raw().receive(reject);
        assert_eq!(connection.send(&masked(0x81, b"message")), None);
        connection.publish("an event");
        assert_eq!((connection.run(), connection.frames()), (None, vec![Frame::text("an event")]));
    }
}

#[test]
fn answer_goes_to_the_sender_without_a_cursor() {
    for (event, raw, object) in [
        (Event::text("tää \"x\""), Frame::text("tää \"x\""), json!({ "data": "tää \"x\"" })),
        (
            Event::json_text(r#"{"ok":true}"#).unwrap().with_name("saved").unwrap(),
            Frame::text(r#"{"ok":true}"#),
            json!({ "event": "saved", "data": { "ok": true } }),
        ),
        (
            Event::binary(&b"\xff\x00"[..]),
            Frame::Binary(vec![0xff, 0]),
            json!({ "data": "/wA=", "encoding": "base64" }),
        ),
    ] {
        let answer = move |_| ready(Ok(Some(event.clone())));
        let mut connection = Connection::raw().receive(answer.clone());
        assert_eq!((connection.send(&masked(0x81, b"message")), connection.frames()), (None, vec![raw]));
        let mut connection = Connection::objects().receive(answer);
        assert_eq!(connection.run(), None);
        connection.frames();
        assert_eq!(connection.send(&masked(0x81, b"message")), None);
        assert_eq!(connection.frames()[0].object(), object);
    }
}

#[test]
fn delayed_answer_wakes_the_task() {
    let gate = Gate::default();
    let mut connection = Connection::raw().receive({
        let gate = gate.clone();
        move |message| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok(Some(Event::text(message.as_text().unwrap())))
            }
        }
    });
    assert_eq!(connection.send(&[masked(0x81, b"one"), masked(0x81, b"two")].concat()), None);
    connection.publish("an event");
    assert_eq!((connection.run(), connection.frames()), (None, vec![Frame::text("an event")]));
    for answer in ["one", "two"] {
        gate.open();
        assert_eq!((connection.run(), connection.frames()), (None, vec![Frame::text(answer)]));
    }
}

#[test]
fn client_that_sends_without_reading_has_one_answer_queued_until_it_stalls() {
    for objects in [false, true] {
        let config = WebSocketConfig::default().message_rate(u32::MAX);
        let subprotocol = if objects { Subprotocol::TidingsV1 } else { Subprotocol::Raw };
        let handled = Arc::new(AtomicUsize::new(0));
        let mut connection = Connection::with(config.clone(), subprotocol).receive({
            let handled = handled.clone();
            move |_| {
                let count = handled.fetch_add(1, Ordering::Relaxed);
                // Both kinds of answers, if there are two.
                ready(if objects && count % 2 == 1 { Err(Rejection::Forbidden) } else { Ok(Some("answer".into())) })
            }
        });
        assert_eq!(connection.run(), None);
        connection.frames();
        connection.client.allow(3);
        let flood = masked(0x81, &[b'x'; 1_000]).repeat(1_000);
        assert_eq!(connection.send(&flood), None);
        assert_eq!(handled.load(Ordering::Relaxed), 1);
        assert!(flood.len() - connection.client.unread() <= 16 * 1024, "too much was read");
        let closed = connection.advance(config.write_timeout).expect("the connection stalls");
        assert_eq!((closed.cause, handled.load(Ordering::Relaxed)), (CloseCause::Stalled, 1));
    }
}

#[test]
fn flood_of_answered_messages_yields_the_thread() {
    let handled = Arc::new(AtomicUsize::new(0));
    let config = WebSocketConfig::default().message_rate(u32::MAX);
    let mut connection = Connection::with(config, Subprotocol::Raw).receive({
        let handled = handled.clone();
        move |_| {
            handled.fetch_add(1, Ordering::Relaxed);
            ready(Ok(Some("answer".into())))
        }
    });
    connection.client.send(&masked(0x81, b"").repeat(10_000));
    loop {
        connection.task.wakes();
        let before = handled.load(Ordering::Relaxed);
        assert!(connection.task.poll(connection.sink.as_mut().unwrap()).is_pending());
        assert!(handled.load(Ordering::Relaxed) - before <= 16);
        if connection.task.wakes() == 0 {
            break;
        }
    }
    assert_eq!((handled.load(Ordering::Relaxed), connection.frames().len()), (10_000, 10_000));
}

#[test]
fn answer_of_a_session_that_ended_is_dropped() {
    let gate = Gate::default();
    let mut connection = Connection::objects().receive({
        let gate = gate.clone();
        move |_| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok(Some("after the end".into()))
            }
        }
    });
    assert_eq!(connection.send(&masked(0x81, b"message")), None);
    connection.frames();
    connection.sink.as_mut().unwrap().close_now(CloseCode::POLICY, "revoked");
    assert_eq!(connection.run(), None);
    gate.open();
    assert_eq!((connection.run(), connection.frames()), (None, vec![Frame::close(1008, "revoked")]));
}

proptest! {
    #![proptest_config(crate::support::cases(64))]

    /// For any sizes of reads and writes, each message is answered once and in order, and no event is lost.
    #[test]
    fn answers_and_events_arrive_once_and_in_order(
        cuts in prop::collection::vec(1_usize..40, 0..4),
        rooms in prop::collection::vec(0_usize..50, 0..40),
        batch in 1_usize..4,
        messages in 1_usize..12,
    ) {
        let config = WebSocketConfig::default();
        let mut connection = Connection::of(Feed::new(7), config, Subprotocol::Raw, |reader| reader.batches_of(batch))
            .receive(|message| ready(Ok(Some(Event::text(message.as_text().unwrap())))));
        connection.client.cut(&cuts);
        connection.client.allow(0);
        for number in 0..messages {
            connection.publish(format!("event {number:02}"));
            connection.client.send(&masked(0x81, format!("answer {number:02}").as_bytes()));
            let room = rooms.get(number).copied().unwrap_or(0);
            connection.client.allow(room);
            prop_assert_eq!(connection.run(), None);
        }
        for room in rooms {
            connection.client.allow(room);
            prop_assert_eq!(connection.run(), None);
        }
        connection.client.allow(usize::MAX);
        prop_assert_eq!(connection.run(), None);
        let (events, answers): (Vec<_>, Vec<_>) =
            connection.frames().into_iter().partition(|frame| matches!(frame, Frame::Text(text) if text.starts_with("event")));
        let expected = |kind: &str| (0..messages).map(|number| Frame::Text(format!("{kind} {number:02}"))).collect();
        prop_assert_eq!((events, answers), (expected("event"), expected("answer")));
    }
}
