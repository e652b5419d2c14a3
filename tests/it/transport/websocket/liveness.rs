use std::time::Duration;

use serde_json::json;
use tidings::Cursor;
use tidings::transport::websocket::{CloseCause, Subprotocol, WebSocketConfig};

use super::{Connection, Frame, Gate, masked};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn client_that_answers_pings_stays_connected() {
    let config = WebSocketConfig::default();
    let mut connection = Connection::raw();
    for _ in 0..10 {
        assert_eq!(connection.advance(config.ping - SECOND), None);
        assert_eq!(connection.frames(), []);
        assert_eq!(connection.advance(SECOND), None);
        assert_eq!(connection.frames(), [Frame::Ping]);
        assert_eq!(connection.answer(), None);
    }
    assert_eq!(connection.timer.elapsed(), 10 * config.ping);
    // One ping, one answer and no other wake: one sleep for each ping.
    assert_eq!(connection.timer.sleeping(), 1);
    assert_eq!(connection.timer.next_in(), Some(config.ping));
}

#[test]
fn silent_client_is_closed_after_the_pong_timeout() {
    let config = WebSocketConfig::default();
    let mut connection = Connection::raw();
    assert_eq!(connection.advance(config.ping), None);
    assert_eq!(connection.frames(), [Frame::Ping]);
    for _ in 0..9 {
        assert_eq!(connection.advance(config.pong_timeout / 10), None);
        // Events that are sent do not extend the deadline.
        connection.publish("an event");
        assert_eq!(connection.run(), None);
    }
    let closed = connection.advance(config.pong_timeout / 10).unwrap();
    assert_eq!((closed.cause, closed.code, closed.clean), (CloseCause::NoPong, None, false));
    assert_eq!(connection.timer.elapsed(), config.ping + config.pong_timeout);
}

#[test]
fn client_that_sends_without_pongs_stays_connected_until_it_is_silent() {
    let config = WebSocketConfig::default();
    let mut connection = Connection::raw();
    assert_eq!(connection.advance(config.ping), None);
    // One byte is enough, even the beginning of a frame.
    for bytes in [&masked(0x81, b"a message")[..], &masked(0x81, b""), &masked(0x81, b"another"), &[0x81]] {
        assert_eq!(connection.advance(config.pong_timeout - SECOND), None);
        assert_eq!(connection.send(bytes), None);
    }
    let last = connection.timer.elapsed();
    let closed = connection.advance(2 * config.pong_timeout).unwrap();
    assert_eq!(closed.cause, CloseCause::NoPong);
    // Each byte from the client causes another ping.
    let frames = connection.frames();
    assert!(frames.len() > 2 && frames.iter().all(|frame| *frame == Frame::Ping), "{frames:?}");
    assert!(connection.timer.elapsed() - last >= config.pong_timeout);
}

/// A client may send unsolicited pongs (RFC 6455 §5.5.3).
#[test]
fn unsolicited_pong_does_not_extend_the_deadline() {
    let config = WebSocketConfig::default().ping(2 * SECOND).pong_timeout(SECOND).write_timeout(SECOND);
    let mut connection = Connection::with(config, Subprotocol::Raw);
    (0..2).for_each(|_| connection.publish("x".repeat(800_000)));
    assert_eq!(connection.advance(5 * SECOND / 2), None);
    assert_eq!(connection.send(&masked(0x8a, b"")), None);
    // 1,600,000 bytes take 24 s at the least rate.
    assert_eq!(connection.advance(20 * SECOND), None);
    assert_eq!(connection.advance(10 * SECOND).unwrap().cause, CloseCause::NoPong);
}

#[test]
fn infinite_write_timeout_keeps_the_pong_deadline() {
    let mut connection = Connection::with(WebSocketConfig::default().write_timeout(Duration::MAX), Subprotocol::Raw);
    connection.publish("x");
    assert_eq!(connection.advance(Duration::from_secs(3_600)).unwrap().cause, CloseCause::NoPong);
}

#[test]
fn pings_continue_while_a_client_sends_without_pongs() {
    let config = WebSocketConfig::default().ping(2 * SECOND).pong_timeout(SECOND).write_timeout(SECOND);
    let mut connection = Connection::with(config, Subprotocol::TidingsV1);
    let mut pings = 0;
    for _ in 0..60 {
        assert_eq!(connection.advance(SECOND / 2), None);
        assert_eq!(connection.send(&masked(0x81, b"hi")), None);
        pings += connection.frames().iter().filter(|frame| **frame == Frame::Ping).count();
    }
    assert!(pings >= 10, "{pings} in 30 s");
}

/// After the extended deadline a client at the least rate has read everything, so it gets only the pong timeout.
#[test]
fn byte_from_the_client_extends_the_deadline_by_the_pong_timeout_only() {
    let config = WebSocketConfig::default();
    let mut connection = Connection::with(config.clone(), Subprotocol::Raw);
    (0..6).for_each(|_| connection.publish("x".repeat(800_000)));
    assert_eq!(connection.advance(config.ping + SECOND), None);
    assert_eq!(connection.send(&masked(0x81, b"hi")), None);
    let closed = connection.advance(Duration::from_secs(3_600)).unwrap();
    assert_eq!(closed.cause, CloseCause::NoPong);
    let most = config.ping + Duration::from_secs(640) + 3 * config.pong_timeout;
    assert!(connection.timer.elapsed() < most, "{:?}", connection.timer.elapsed());
}

/// Two events of 800 kB, and a client that reads 200 kB a second and answers a ping when it reads it.
#[test]
fn pong_deadline_grows_by_the_bytes_ahead_of_the_ping() {
    let config = WebSocketConfig::default().ping(2 * SECOND).pong_timeout(SECOND);
    let mut connection = Connection::with(config, Subprotocol::Raw);
    (0..2).for_each(|_| connection.publish("x".repeat(800_000)));
    assert_eq!(connection.advance(8 * SECOND), None);
    assert_eq!(connection.frames().last(), Some(&Frame::Ping));
    assert_eq!(connection.answer(), None);
    // The next ping is due, with few bytes ahead of it.
    assert_eq!(connection.frames(), [Frame::Ping]);
    let closed = connection.advance(2 * SECOND).unwrap();
    assert_eq!(closed.cause, CloseCause::NoPong);
    assert!(connection.timer.elapsed() < 9 * SECOND + Duration::from_millis(10), "{:?}", connection.timer.elapsed());
}

#[test]
fn silent_client_is_closed_when_the_bytes_ahead_of_the_ping_are_due() {
    const FRAME: u32 = 65_536;

    let config = WebSocketConfig::default().ping(2 * SECOND).pong_timeout(SECOND).write_timeout(4 * SECOND);
    // Number of events, and bytes that extend the deadline of the pong: at most 4 MiB.
    for (events, bytes) in [(0, 0), (1, 800_010), (2, 1_600_020), (6, 4 << 20), (50, 4 << 20)] {
        let mut connection = Connection::with(config.clone(), Subprotocol::Raw);
        (0..events).for_each(|_| connection.publish("x".repeat(800_000)));
        let due = 3 * SECOND + 4 * SECOND * bytes / FRAME;
        assert_eq!(connection.advance(due - Duration::from_millis(1)), None, "{events} events");
        let closed = connection.advance(Duration::from_millis(1)).unwrap();
        assert_eq!((closed.cause, connection.timer.elapsed()), (CloseCause::NoPong, due));
    }
}

#[test]
fn pong_acknowledges_only_the_bytes_ahead_of_its_ping() {
    let config = WebSocketConfig::default().ping(20 * SECOND).pong_timeout(SECOND).write_timeout(SECOND);
    let mut connection = Connection::with(config, Subprotocol::Raw);
    connection.publish("x".repeat(800_000));
    assert_eq!(connection.advance(20 * SECOND), None);
    connection.publish("x".repeat(400_000));
    assert_eq!(connection.advance(12 * SECOND), None);
    connection.frames();
    assert_eq!(connection.answer(), None);
    // The next ping is sent 20 s after the last one, after the 400,000 bytes that were published since.
    let due = 41 * SECOND + SECOND * 400_000 / 65_536;
    assert_eq!(connection.advance(due - 32 * SECOND), None);
    assert_eq!(connection.frames(), [Frame::Ping]);
    assert_eq!(connection.advance(Duration::from_millis(1)).unwrap().cause, CloseCause::NoPong);
}

#[test]
fn late_pong_before_the_deadline_keeps_the_ping_schedule() {
    let config = WebSocketConfig::default();
    let mut connection = Connection::raw();
    assert_eq!(connection.advance(config.ping + config.pong_timeout - SECOND), None);
    connection.frames();
    assert_eq!(connection.answer(), None);
    // The interval runs from the last ping, not from its pong.
    assert_eq!(connection.timer.next_in(), Some(config.ping - config.pong_timeout + SECOND));
}

#[test]
fn object_clients_get_a_heartbeat_with_each_ping() {
    let config = WebSocketConfig::default().ping(Duration::from_millis(1_500));
    let mut connection = Connection::with(config.clone(), Subprotocol::TidingsV1);
    connection.publish("x");
    assert_eq!(connection.run(), None);
    let hello = connection.frames()[0].object();
    assert_eq!(hello, json!({ "tidings": "hello", "cursor": "7.0", "heartbeat_ms": 1_500 }));
    for sequence in 2..5 {
        // The cursor moves past events that the client does not follow.
        connection.feed.pass();
        connection.publish("x");
        assert_eq!(connection.run(), None);
        connection.frames();
        assert_eq!(connection.advance(config.ping), None);
        let frames = connection.frames();
        let cursor = Cursor::new(7, 2 * sequence - 1).to_string();
        assert_eq!(frames[0].object(), json!({ "tidings": "heartbeat", "cursor": cursor }));
        assert_eq!(frames[1..], [Frame::Ping]);
        assert_eq!(connection.answer(), None);
    }
}

#[test]
fn ping_due_during_a_blocked_write_is_skipped() {
    let config = WebSocketConfig::default();
    let mut connection = Connection::raw();
    assert_eq!(connection.advance(config.ping - 2 * SECOND), None);
    connection.client.allow(3);
    connection.publish("a long text");
    assert_eq!(connection.run(), None);
    // The ping is due and skipped. The blocked write continues.
    assert_eq!(connection.advance(3 * SECOND), None);
    connection.client.allow(usize::MAX);
    assert_eq!(connection.run(), None);
    assert_eq!(connection.frames(), [Frame::text("a long text")]);
    assert_eq!(connection.advance(config.ping - 2 * SECOND), None);
    assert_eq!(connection.frames(), []);
    assert_eq!(connection.advance(SECOND), None);
    assert_eq!(connection.frames(), [Frame::Ping]);
}

#[test]
fn pong_behind_unread_messages_does_not_count_as_missed() {
    let config = WebSocketConfig::default();
    let gate = Gate::default();
    let mut connection = Connection::raw().receive({
        let gate = gate.clone();
        move |_| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok(None)
            }
        }
    });
    assert_eq!(connection.send(&masked(0x81, b"slow to handle").repeat(2)), None);
    assert_eq!(connection.advance(config.ping), None);
    assert_eq!(connection.frames(), [Frame::Ping]);
    assert_eq!(connection.answer(), None);
    // The pong was sent and is not read. Another ping shows whether the connection is open.
    assert_eq!(connection.advance(3 * config.pong_timeout), None);
    assert_eq!(connection.frames(), vec![Frame::Ping; 3]);
    gate.open();
    assert_eq!(connection.run(), None);
    assert_eq!(connection.timer.next_in(), Some(config.ping));
}

#[test]
fn infinite_timeouts_never_close() {
    let never = Duration::MAX;
    let config = WebSocketConfig::default().ping(never).write_timeout(never).message_timeout(never);
    let mut connection = Connection::with(config, Subprotocol::Raw);
    connection.client.allow(0);
    connection.publish("x");
    assert_eq!(connection.send(&masked(0x01, b"begun")), None);
    assert_eq!(connection.advance(Duration::from_secs(365 * 24 * 3600)), None);
}
