use std::time::Duration;

use serde_json::json;
use tidings::subscriber::SubscriptionEnd;
use tidings::transport::websocket::{CloseCause, CloseCode, Closed, Subprotocol, WebSocketConfig};
use tidings::{GapReason, Rejection};

use super::{Connection, Frame, Gate, Received, masked};
use crate::support::Feed;

/// Returns the cause, the code, and whether the close was clean.
fn outcome(closed: Option<Closed>) -> (CloseCause, Option<u16>, bool) {
    let closed = closed.expect("the connection is over");
    (closed.cause, closed.code.map(CloseCode::as_u16), closed.clean)
}

fn close(code: u16, reason: &str) -> Vec<u8> {
    masked(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

#[test]
fn close_code_of_the_client_is_echoed_and_the_server_shuts_the_connection() {
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        let mut connection = Connection::raw();
        connection.client.send(&[close(code, "the client leaves"), masked(0x81, b"too late")].concat());
        assert_eq!(outcome(connection.run()), (CloseCause::Client, Some(code), true));
        assert!(connection.client.is_shut() && connection.client.is_flushed());
        // Tungstenite does not know 1014.
        if code != 1014 {
            assert_eq!(connection.frames(), [Frame::close(code, "")]);
        }
        assert_eq!((connection.received.take(), connection.timer.sleeping()), (vec![], 0));
    }
    let mut connection = Connection::raw();
    assert_eq!(outcome(connection.send(&masked(0x88, b""))), (CloseCause::Client, None, true));
    assert_eq!(connection.frames(), [Frame::close(0, "")]);
}

#[test]
fn answers_to_the_last_messages_are_sent_before_the_close() {
    for (end, frame) in [
        (close(1000, ""), Frame::close(1000, "")),
        (masked(0xc1, b"x"), Frame::close(1002, "reserved bit set")),
        (masked(0x88, b"x"), Frame::close(1002, "close code cut short")),
    ] {
        let feed = Feed::new(7);
        let mut connection =
            Connection::of(feed.clone(), WebSocketConfig::default(), Subprotocol::Raw, |reader| reader);
        connection = connection.receive(move |message| {
            feed.event("news", message.as_text().unwrap());
            std::future::ready(Ok(None))
        });
        connection.send(&[masked(0x81, b"one"), masked(0x89, b"ping"), masked(0x81, b"two"), end].concat());
        let frames = connection.frames();
        assert_eq!(frames, [Frame::Pong(b"ping".to_vec()), Frame::text("one"), Frame::text("two"), frame]);
    }
}

#[test]
fn server_close_waits_for_the_client_close_and_ignores_messages() {
    let mut connection = Connection::raw();
    assert_eq!(connection.run(), None);
    connection.publish("before");
    assert_eq!(connection.run(), None);
    connection.sink.as_mut().unwrap().close(CloseCode::RESTART, "restart");
    connection.sink.as_mut().unwrap().close(CloseCode::NORMAL, "only the first counts");
    connection.publish("after");
    assert_eq!(connection.run(), None);
    assert_eq!(connection.frames(), [Frame::text("before"), Frame::close(1012, "restart")]);
    assert_eq!(connection.send(&[masked(0x81, b"late"), masked(0x89, b"ping")].concat()), None);
    assert_eq!((connection.client.is_shut(), connection.received.take()), (false, vec![]));
    assert_eq!(outcome(connection.answer()), (CloseCause::Asked, Some(1012), true));
    assert!(connection.client.is_shut());
    assert_eq!(connection.frames(), []);
}

#[test]
fn client_that_does_not_answer_a_close_is_dropped_after_the_close_timeout() {
    let timeout = WebSocketConfig::default().close_timeout;
    let begin = || {
        let mut connection = Connection::raw();
        connection.sink.as_mut().unwrap().close(CloseCode::NORMAL, "");
        assert_eq!(connection.run(), None);
        connection
    };
    // The client is silent.
    let mut connection = begin();
    assert_eq!(connection.advance(timeout - Duration::from_millis(1)), None);
    assert_eq!(outcome(connection.advance(Duration::from_millis(1))), (CloseCause::Asked, Some(1000), false));
    // The client continues to send.
    let mut connection = begin();
    for _ in 0..4 {
        assert_eq!(connection.advance(timeout / 5), None);
        assert_eq!(connection.send(&masked(0x81, b"more")), None);
    }
    assert_eq!(outcome(connection.advance(timeout / 5)), (CloseCause::Asked, Some(1000), false));
    // The client ends its side, or the connection breaks.
    let mut connection = begin();
    connection.client.end();
    assert_eq!(outcome(connection.run()), (CloseCause::Asked, Some(1000), false));
    let mut connection = begin();
    connection.client.reset();
    assert_eq!(outcome(connection.run()), (CloseCause::Asked, Some(1000), false));
    // The client sends bytes that are no frame.
    let mut connection = begin();
    assert_eq!(connection.send(b"GET / HTTP/1.1\r\n\r\n"), None);
    assert_eq!(connection.frames(), [Frame::close(1000, "")]);
    assert_eq!(outcome(connection.advance(timeout)), (CloseCause::Asked, Some(1000), false));
}

#[test]
fn client_that_floods_after_a_violation_is_dropped() {
    let ping = masked(0x89, &[b'x'; 125]);
    for takes in [usize::MAX, 0] {
        let mut connection = Connection::raw();
        connection.client.allow(takes);
        // The server reads at most 1 MiB after its Close, whether the Close is written or not.
        let (mut sent, mut closed) = (0, None);
        while closed.is_none() && sent < 4 << 20 {
            closed = connection.send(&ping.repeat(64));
            sent += 64 * ping.len();
        }
        assert_eq!(outcome(closed), (CloseCause::Violation, Some(1008), false));
        assert!((1 << 20..(1 << 20) + (1 << 15)).contains(&sent), "{sent}");
        assert_eq!(connection.timer.elapsed(), Duration::ZERO);
    }
}

#[test]
fn client_that_does_not_read_the_close_is_dropped_after_the_close_timeout() {
    let timeout = WebSocketConfig::default().close_timeout;
    for bytes in [close(1000, ""), b"garbage".to_vec(), vec![]] {
        let mut connection = Connection::raw();
        connection.client.allow(0);
        if bytes.is_empty() {
            connection.sink.as_mut().unwrap().close(CloseCode::NORMAL, "");
        }
        assert_eq!(connection.send(&bytes), None);
        let closed = connection.advance(timeout).unwrap();
        assert!(!closed.clean);
        assert_eq!(connection.timer.elapsed(), timeout);
    }
}

#[test]
fn simultaneous_closes_end_cleanly() {
    let mut connection = Connection::raw();
    connection.sink.as_mut().unwrap().close(CloseCode::RESTART, "restart");
    connection.client.send(&close(1000, ""));
    assert_eq!(outcome(connection.run()), (CloseCause::Asked, Some(1012), true));
    assert_eq!(connection.frames(), [Frame::close(1012, "restart")]);
}

#[test]
fn broken_connection_is_reported_as_lost() {
    let mut connection = Connection::raw();
    connection.client.end();
    assert_eq!(outcome(connection.run()), (CloseCause::Lost, None, false));
    let mut connection = Connection::raw();
    assert_eq!(connection.run(), None);
    connection.client.reset();
    assert_eq!(outcome(connection.run()), (CloseCause::Lost, None, false));
    assert_eq!(connection.timer.sleeping(), 0);
}

#[test]
fn each_subscription_end_has_its_close_code() {
    for (end, code, reason) in [
        (SubscriptionEnd::Closed, 1000, "finished"),
        (SubscriptionEnd::Finished, 1000, "finished"),
        (SubscriptionEnd::TooSlow, 1013, "too slow"),
    ] {
        for mut connection in [Connection::raw(), Connection::objects()] {
            connection.publish("last");
            connection.feed.end(end);
            assert_eq!(connection.run(), None);
            let mut frames = connection.frames();
            assert_eq!(frames.pop(), Some(Frame::close(code, reason)));
            // An end of all topics that the source did not yield.
            frames.retain(|frame| !matches!(frame, Frame::Text(text) if text.contains("\"end\":{}")));
            assert!(matches!(frames.last(), Some(Frame::Text(text)) if text.contains("last")));
            assert_eq!(outcome(connection.answer()), (CloseCause::End(end), Some(code), true));
        }
    }
}

#[test]
fn gap_closes_a_raw_connection() {
    let mut connection = Connection::raw();
    connection.publish("before");
    connection.feed.gap(GapReason::Evicted, None);
    connection.publish("after");
    assert_eq!(connection.run(), None);
    assert_eq!(connection.frames(), [Frame::text("before"), Frame::close(1013, "gap")]);
    assert_eq!(outcome(connection.answer()), (CloseCause::Gap, Some(1013), true));
}

#[test]
fn bye_sends_the_retry_delay_to_object_clients() {
    let bye = |connection: &mut Connection| {
        assert_eq!(connection.run(), None);
        connection.frames();
        connection.sink.as_mut().unwrap().bye(Duration::from_millis(1_500), CloseCode::RESTART, "restart");
        assert_eq!(connection.run(), None);
        connection.frames()
    };
    assert_eq!(bye(&mut Connection::raw()), [Frame::close(1012, "restart")]);
    let frames = bye(&mut Connection::objects());
    assert_eq!(frames[0].object(), json!({ "tidings": "bye", "retry_ms": 1_500 }));
    assert_eq!(frames[1..], [Frame::close(1012, "restart")]);
}

#[test]
fn closing_rejection_has_its_close_code() {
    // The 123 bytes that fit into a reason end inside a character.
    let long = format!("?{}", "ß".repeat(100));
    let cut = format!("invalid request: {}", &long[..105]);
    for (rejection, code, reason) in [
        (Rejection::Unauthorized, 1008, "unauthorized"),
        (Rejection::Forbidden, 1008, "forbidden"),
        (Rejection::NotFound, 1008, "not found"),
        (Rejection::Busy { retry_after: Duration::from_secs(2) }, 1013, "busy, retry after 2000 ms"),
        (Rejection::Gone, 1008, "gone"),
        (Rejection::invalid("no such verb"), 1008, "invalid request: no such verb"),
        (Rejection::invalid(long), 1008, &cut),
        (Rejection::internal("the secret"), 1011, "internal error"),
        (Rejection::Unsupported, 1008, "messages are not taken here"),
    ] {
        let closing = if rejection == Rejection::Unauthorized { rejection } else { rejection.closing() };
        let mut connection = Connection::raw().receive(move |_| std::future::ready(Err(closing.clone())));
        assert_eq!(connection.send(&masked(0x81, b"message").repeat(2)), None);
        assert_eq!(connection.frames(), [Frame::close(code, reason)]);
        assert_eq!(outcome(connection.answer()), (CloseCause::Rejected, Some(code), true));
    }
}

#[test]
fn message_in_the_handler_is_finished_after_the_close() {
    for end in [close(1000, ""), vec![]] {
        let (sender, received) = (Gate::default(), Received::default());
        let mut connection = Connection::raw().receive({
            let (gate, received) = (sender.clone(), received.clone());
            move |message| {
                let (gate, received) = (gate.clone(), received.clone());
                async move {
                    gate.pass().await;
                    received.put(message);
                    Ok(None)
                }
            }
        });
        connection.client.send(&masked(0x81, b"in the handler"));
        connection.client.send(&end);
        if end.is_empty() {
            connection.client.end();
        }
        assert_eq!(connection.run(), None);
        assert_eq!(connection.client.is_shut(), !end.is_empty());
        sender.open();
        let closed = connection.run();
        assert_eq!(closed.unwrap().clean, !end.is_empty());
        assert_eq!(received.take_texts(), ["in the handler"]);
    }
}

#[test]
fn stuck_handler_does_not_delay_the_end_beyond_the_close_timeout() {
    let mut connection = Connection::raw().receive(|_| std::future::pending());
    assert_eq!(connection.send(&[masked(0x81, b"message"), close(1000, "")].concat()), None);
    assert_eq!(connection.frames(), [Frame::close(1000, "")]);
    assert_eq!(
        outcome(connection.advance(WebSocketConfig::default().close_timeout)),
        (CloseCause::Client, Some(1000), true)
    );
}

#[test]
fn close_code_new_refuses_reserved_codes() {
    let good = |code: u16| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    for code in 0..=u16::MAX {
        assert_eq!(CloseCode::new(code).map(CloseCode::as_u16), good(code).then_some(code));
    }
}
