use std::time::Duration;

use serde_json::json;
use tidings::transport::websocket::{CloseCause, Subprotocol, WebSocketConfig};

use super::closing::Gate;
use super::{Frame, Visit, masked};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_client_that_answers_pings_stays() {
    let config = WebSocketConfig::default();
    let mut visit = Visit::raw();
    for _ in 0..10 {
        assert_eq!(visit.pass(config.ping - SECOND), None);
        assert_eq!(visit.frames(), []);
        assert_eq!(visit.pass(SECOND), None);
        assert_eq!(visit.frames(), [Frame::Ping]);
        assert_eq!(visit.answer(), None);
    }
    assert_eq!(visit.timer.elapsed(), 10 * config.ping);
    // One ping, one answer, and no wake for nothing: that is one sleep a ping.
    assert_eq!(visit.timer.sleeping(), 1);
    assert_eq!(visit.timer.next_in(), Some(config.ping));
}

#[test]
fn client_that_neither_answers_nor_sends_is_left() {
    let config = WebSocketConfig::default();
    let mut visit = Visit::raw();
    assert_eq!(visit.pass(config.ping), None);
    assert_eq!(visit.frames(), [Frame::Ping]);
    for _ in 0..9 {
        assert_eq!(visit.pass(config.pong_timeout / 10), None);
        // What is sent to it proves nothing.
        visit.publish("we are here");
        assert_eq!(visit.run(), None);
    }
    let closed = visit.pass(config.pong_timeout / 10).unwrap();
    assert_eq!((closed.cause, closed.code, closed.clean), (CloseCause::NoPong, None, false));
    assert_eq!(visit.timer.elapsed(), config.ping + config.pong_timeout);
}

#[test]
fn client_that_sends_without_answering_stays_until_it_is_silent() {
    let config = WebSocketConfig::default();
    let mut visit = Visit::raw();
    assert_eq!(visit.pass(config.ping), None);
    // One byte is enough: the beginning of a frame.
    for bytes in [&masked(0x81, b"I am here")[..], &masked(0x81, b""), &masked(0x81, b"and here"), &[0x81]] {
        assert_eq!(visit.pass(config.pong_timeout - SECOND), None);
        assert_eq!(visit.send(bytes), None);
    }
    let last = visit.timer.elapsed();
    let closed = visit.pass(2 * config.pong_timeout).unwrap();
    assert_eq!(closed.cause, CloseCause::NoPong);
    // It is pinged again each time that it was heard from.
    let frames = visit.frames();
    assert!(frames.len() > 2 && frames.iter().all(|frame| *frame == Frame::Ping), "{frames:?}");
    assert!(visit.timer.elapsed() - last >= config.pong_timeout);
}

/// RFC 6455 §5.5.3: a pong may come unasked, and some clients send one now and then.
#[test]
fn pong_that_answers_no_ping_proves_nothing() {
    let config = WebSocketConfig::default().ping(2 * SECOND).pong_timeout(SECOND).write_timeout(SECOND);
    let mut visit = Visit::with(config, Subprotocol::Raw);
    (0..2).for_each(|_| visit.publish("x".repeat(800_000)));
    assert_eq!(visit.pass(5 * SECOND / 2), None);
    assert_eq!(visit.send(&masked(0x8a, b"")), None);
    // 1,600,000 bytes take 24 s at the least rate.
    assert_eq!(visit.pass(20 * SECOND), None);
    assert_eq!(visit.pass(10 * SECOND).unwrap().cause, CloseCause::NoPong);
}

#[test]
fn endless_write_timeout_leaves_the_pong_a_deadline() {
    let mut visit = Visit::with(WebSocketConfig::default().write_timeout(Duration::MAX), Subprotocol::Raw);
    visit.publish("x");
    assert_eq!(visit.pass(Duration::from_secs(3_600)).unwrap().cause, CloseCause::NoPong);
}

#[test]
fn heartbeats_go_on_while_a_client_sends_and_answers_no_ping() {
    let config = WebSocketConfig::default().ping(2 * SECOND).pong_timeout(SECOND).write_timeout(SECOND);
    let mut visit = Visit::with(config, Subprotocol::TidingsV1);
    let mut pings = 0;
    for _ in 0..60 {
        assert_eq!(visit.pass(SECOND / 2), None);
        assert_eq!(visit.send(&masked(0x81, b"hi")), None);
        pings += visit.frames().iter().filter(|frame| **frame == Frame::Ping).count();
    }
    assert!(pings >= 10, "{pings} in 30 s");
}

/// After the extended deadline a client at the least rate has read everything, so it is given no more than the pong's time.
#[test]
fn byte_from_the_client_extends_the_deadline_by_the_pong_timeout_only() {
    let config = WebSocketConfig::default();
    let mut visit = Visit::with(config.clone(), Subprotocol::Raw);
    (0..6).for_each(|_| visit.publish("x".repeat(800_000)));
    assert_eq!(visit.pass(config.ping + SECOND), None);
    assert_eq!(visit.send(&masked(0x81, b"hi")), None);
    let closed = visit.pass(Duration::from_secs(3_600)).unwrap();
    assert_eq!(closed.cause, CloseCause::NoPong);
    let most = config.ping + Duration::from_secs(640) + 3 * config.pong_timeout;
    assert!(visit.timer.elapsed() < most, "{:?}", visit.timer.elapsed());
}

/// Two events of 800 kB, and a client that reads 200 kB a second and answers a ping when it comes to it.
#[test]
fn pong_deadline_grows_by_the_bytes_ahead_of_the_ping() {
    let config = WebSocketConfig::default().ping(2 * SECOND).pong_timeout(SECOND);
    let mut visit = Visit::with(config, Subprotocol::Raw);
    (0..2).for_each(|_| visit.publish("x".repeat(800_000)));
    assert_eq!(visit.pass(8 * SECOND), None);
    assert_eq!(visit.frames().last(), Some(&Frame::Ping));
    assert_eq!(visit.answer(), None);
    // The next ping is due already, and has nothing ahead of it but what came since.
    assert_eq!(visit.frames(), [Frame::Ping]);
    let closed = visit.pass(2 * SECOND).unwrap();
    assert_eq!(closed.cause, CloseCause::NoPong);
    assert!(visit.timer.elapsed() < 9 * SECOND + Duration::from_millis(10), "{:?}", visit.timer.elapsed());
}

#[test]
fn client_that_answers_nothing_is_left_when_the_bytes_ahead_are_due() {
    const FRAME: u32 = 65_536;

    let config = WebSocketConfig::default().ping(2 * SECOND).pong_timeout(SECOND).write_timeout(4 * SECOND);
    // Bytes published, and those of which the pong's deadline takes account: 4 MiB at most.
    for (events, bytes) in [(0, 0), (1, 800_010), (2, 1_600_020), (6, 4 << 20), (50, 4 << 20)] {
        let mut visit = Visit::with(config.clone(), Subprotocol::Raw);
        (0..events).for_each(|_| visit.publish("x".repeat(800_000)));
        let due = 3 * SECOND + 4 * SECOND * bytes / FRAME;
        assert_eq!(visit.pass(due - Duration::from_millis(1)), None, "{events} events");
        let closed = visit.pass(Duration::from_millis(1)).unwrap();
        assert_eq!((closed.cause, visit.timer.elapsed()), (CloseCause::NoPong, due));
    }
}

#[test]
fn answered_ping_proves_the_bytes_ahead_of_it_and_no_others() {
    let config = WebSocketConfig::default().ping(20 * SECOND).pong_timeout(SECOND).write_timeout(SECOND);
    let mut visit = Visit::with(config, Subprotocol::Raw);
    visit.publish("x".repeat(800_000));
    assert_eq!(visit.pass(20 * SECOND), None);
    visit.publish("x".repeat(400_000));
    assert_eq!(visit.pass(12 * SECOND), None);
    visit.frames();
    assert_eq!(visit.answer(), None);
    // The next ping goes 20 s after the last one, behind the 400,000 bytes that came since.
    let due = 41 * SECOND + SECOND * 400_000 / 65_536;
    assert_eq!(visit.pass(due - 32 * SECOND), None);
    assert_eq!(visit.frames(), [Frame::Ping]);
    assert_eq!(visit.pass(Duration::from_millis(1)).unwrap().cause, CloseCause::NoPong);
}

#[test]
fn a_late_pong_is_in_time_up_to_the_deadline() {
    let config = WebSocketConfig::default();
    let mut visit = Visit::raw();
    assert_eq!(visit.pass(config.ping + config.pong_timeout - SECOND), None);
    visit.frames();
    assert_eq!(visit.answer(), None);
    // The next ping comes after the last one, not after its pong.
    assert_eq!(visit.timer.next_in(), Some(config.ping - config.pong_timeout + SECOND));
}

#[test]
fn objects_have_a_heartbeat_with_each_ping() {
    let config = WebSocketConfig::default().ping(Duration::from_millis(1_500));
    let mut visit = Visit::with(config.clone(), Subprotocol::TidingsV1);
    visit.publish("x");
    assert_eq!(visit.run(), None);
    let hello = visit.frames()[0].object();
    assert_eq!(hello, json!({ "tidings": "hello", "cursor": "7.0", "heartbeat_ms": 1_500 }));
    for sequence in 2..5 {
        // The cursor moves on with what the client does not follow.
        visit.feed.pass();
        visit.publish("x");
        assert_eq!(visit.run(), None);
        visit.frames();
        assert_eq!(visit.pass(config.ping), None);
        let frames = visit.frames();
        let cursor = format!("7.{}", 2 * sequence - 1);
        assert_eq!(frames[0].object(), json!({ "tidings": "heartbeat", "cursor": cursor }));
        assert_eq!(frames[1..], [Frame::Ping]);
        assert_eq!(visit.answer(), None);
    }
}

#[test]
fn a_ping_does_not_wait_behind_what_the_client_does_not_take() {
    let config = WebSocketConfig::default();
    let mut visit = Visit::raw();
    assert_eq!(visit.pass(config.ping - 2 * SECOND), None);
    visit.client.allow(3);
    visit.publish("a long text");
    assert_eq!(visit.run(), None);
    // The ping is due, and left out; what was stuck goes through.
    assert_eq!(visit.pass(3 * SECOND), None);
    visit.client.allow(usize::MAX);
    assert_eq!(visit.run(), None);
    assert_eq!(visit.frames(), [Frame::text("a long text")]);
    assert_eq!(visit.pass(config.ping - 2 * SECOND), None);
    assert_eq!(visit.frames(), []);
    assert_eq!(visit.pass(SECOND), None);
    assert_eq!(visit.frames(), [Frame::Ping]);
}

#[test]
fn a_pong_behind_messages_that_were_not_read_is_no_missed_pong() {
    let config = WebSocketConfig::default();
    let gate = Gate::default();
    let mut visit = Visit::raw().receive({
        let gate = gate.clone();
        move |_| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok(None)
            }
        }
    });
    assert_eq!(visit.send(&masked(0x81, b"slow to handle").repeat(2)), None);
    assert_eq!(visit.pass(config.ping), None);
    assert_eq!(visit.frames(), [Frame::Ping]);
    assert_eq!(visit.answer(), None);
    // It is there, and can't be read; another ping shows whether the connection still is.
    assert_eq!(visit.pass(3 * config.pong_timeout), None);
    assert_eq!(visit.frames(), vec![Frame::Ping; 3]);
    gate.open();
    assert_eq!(visit.run(), None);
    assert_eq!(visit.timer.next_in(), Some(config.ping));
}

#[test]
fn times_that_have_no_end_are_no_times() {
    let never = Duration::MAX;
    let config = WebSocketConfig::default().ping(never).write_timeout(never).message_timeout(never);
    let mut visit = Visit::with(config, Subprotocol::Raw);
    visit.client.allow(0);
    visit.publish("x");
    assert_eq!(visit.send(&masked(0x01, b"begun")), None);
    assert_eq!(visit.pass(Duration::from_secs(365 * 24 * 3600)), None);
}
