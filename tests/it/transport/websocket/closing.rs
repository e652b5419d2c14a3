use std::time::Duration;

use serde_json::json;
use tidings::subscriber::SubscriptionEnd;
use tidings::transport::websocket::{CloseCause, CloseCode, Closed, Subprotocol, WebSocketConfig};
use tidings::{GapReason, Rejection};

use super::{Frame, Received, Visit, masked};
use crate::support::Feed;

fn how(closed: Option<Closed>) -> (CloseCause, Option<u16>, bool) {
    let closed = closed.expect("it is over");
    (closed.cause, closed.code.map(CloseCode::as_u16), closed.clean)
}

fn close(code: u16, reason: &str) -> Vec<u8> {
    masked(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

#[test]
fn the_clients_code_is_echoed_and_the_server_ends_the_connection() {
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        let mut visit = Visit::raw();
        visit.client.send(&[close(code, "off I go"), masked(0x81, b"too late")].concat());
        assert_eq!(how(visit.run()), (CloseCause::Client, Some(code), true));
        assert!(visit.client.is_shut() && visit.client.is_flushed());
        // tungstenite does not know 1014.
        if code != 1014 {
            assert_eq!(visit.frames(), [Frame::close(code, "")]);
        }
        assert_eq!((visit.received.take(), visit.timer.sleeping()), (vec![], 0));
    }
    let mut visit = Visit::raw();
    assert_eq!(how(visit.send(&masked(0x88, b""))), (CloseCause::Client, None, true));
    assert_eq!(visit.frames(), [Frame::close(0, "")]);
}

#[test]
fn the_answers_to_the_last_messages_go_out_before_the_end() {
    for (end, frame) in [
        (close(1000, ""), Frame::close(1000, "")),
        (masked(0xc1, b"x"), Frame::close(1002, "reserved bit set")),
        (masked(0x88, b"x"), Frame::close(1002, "close code cut short")),
    ] {
        let feed = Feed::new(7);
        let mut visit = Visit::of(feed.clone(), WebSocketConfig::default(), Subprotocol::Raw, |reader| reader);
        visit = visit.receive(move |message| {
            feed.event("news", message.as_text().unwrap());
            std::future::ready(Ok(None))
        });
        visit.send(&[masked(0x81, b"one"), masked(0x89, b"ping"), masked(0x81, b"two"), end].concat());
        let frames = visit.frames();
        assert_eq!(frames, [Frame::Pong(b"ping".to_vec()), Frame::text("one"), Frame::text("two"), frame]);
    }
}

#[test]
fn our_close_waits_for_the_clients_and_takes_nothing_else() {
    let mut visit = Visit::raw();
    assert_eq!(visit.run(), None);
    visit.publish("before");
    assert_eq!(visit.run(), None);
    visit.sink.as_mut().unwrap().close(CloseCode::RESTART, "restart");
    visit.sink.as_mut().unwrap().close(CloseCode::NORMAL, "only the first counts");
    visit.publish("after");
    assert_eq!(visit.run(), None);
    assert_eq!(visit.frames(), [Frame::text("before"), Frame::close(1012, "restart")]);
    assert_eq!(visit.send(&[masked(0x81, b"late"), masked(0x89, b"ping")].concat()), None);
    assert_eq!((visit.client.is_shut(), visit.received.take()), (false, vec![]));
    assert_eq!(how(visit.answer()), (CloseCause::Asked, Some(1012), true));
    assert!(visit.client.is_shut());
    assert_eq!(visit.frames(), []);
}

#[test]
fn a_client_that_does_not_answer_a_close_is_left() {
    let timeout = WebSocketConfig::default().close_timeout;
    let begin = || {
        let mut visit = Visit::raw();
        visit.sink.as_mut().unwrap().close(CloseCode::NORMAL, "");
        assert_eq!(visit.run(), None);
        visit
    };
    // It is silent.
    let mut visit = begin();
    assert_eq!(visit.pass(timeout - Duration::from_millis(1)), None);
    assert_eq!(how(visit.pass(Duration::from_millis(1))), (CloseCause::Asked, Some(1000), false));
    // It goes on sending.
    let mut visit = begin();
    for _ in 0..4 {
        assert_eq!(visit.pass(timeout / 5), None);
        assert_eq!(visit.send(&masked(0x81, b"more")), None);
    }
    assert_eq!(how(visit.pass(timeout / 5)), (CloseCause::Asked, Some(1000), false));
    // It ends, or breaks off.
    let mut visit = begin();
    visit.client.end();
    assert_eq!(how(visit.run()), (CloseCause::Asked, Some(1000), false));
    let mut visit = begin();
    visit.client.reset();
    assert_eq!(how(visit.run()), (CloseCause::Asked, Some(1000), false));
    // It sends what is no frame.
    let mut visit = begin();
    assert_eq!(visit.send(b"GET / HTTP/1.1\r\n\r\n"), None);
    assert_eq!(visit.frames(), [Frame::close(1000, "")]);
    assert_eq!(how(visit.pass(timeout)), (CloseCause::Asked, Some(1000), false));
}

#[test]
fn a_client_that_floods_behind_a_violation_is_cut_off() {
    let ping = masked(0x89, &[b'x'; 125]);
    for takes in [usize::MAX, 0] {
        let mut visit = Visit::raw();
        visit.client.allow(takes);
        // More than a client that stops at our Close has under way is not read, be the Close written or not.
        let (mut sent, mut closed) = (0, None);
        while closed.is_none() && sent < 4 << 20 {
            closed = visit.send(&ping.repeat(64));
            sent += 64 * ping.len();
        }
        assert_eq!(how(closed), (CloseCause::Violation, Some(1008), false));
        assert!((1 << 20..(1 << 20) + (1 << 15)).contains(&sent), "{sent}");
        assert_eq!(visit.timer.elapsed(), Duration::ZERO);
    }
}

#[test]
fn a_client_that_takes_no_close_is_left() {
    let timeout = WebSocketConfig::default().close_timeout;
    for bytes in [close(1000, ""), b"garbage".to_vec(), vec![]] {
        let mut visit = Visit::raw();
        visit.client.allow(0);
        if bytes.is_empty() {
            visit.sink.as_mut().unwrap().close(CloseCode::NORMAL, "");
        }
        assert_eq!(visit.send(&bytes), None);
        let closed = visit.pass(timeout).unwrap();
        assert!(!closed.clean);
        assert_eq!(visit.timer.elapsed(), timeout);
    }
}

#[test]
fn both_may_begin_at_once() {
    let mut visit = Visit::raw();
    visit.sink.as_mut().unwrap().close(CloseCode::RESTART, "restart");
    visit.client.send(&close(1000, ""));
    assert_eq!(how(visit.run()), (CloseCause::Asked, Some(1012), true));
    assert_eq!(visit.frames(), [Frame::close(1012, "restart")]);
}

#[test]
fn a_connection_that_breaks_off_is_lost() {
    let mut visit = Visit::raw();
    visit.client.end();
    assert_eq!(how(visit.run()), (CloseCause::Lost, None, false));
    let mut visit = Visit::raw();
    assert_eq!(visit.run(), None);
    visit.client.reset();
    assert_eq!(how(visit.run()), (CloseCause::Lost, None, false));
    assert_eq!(visit.timer.sleeping(), 0);
}

#[test]
fn every_end_has_its_code() {
    for (end, code, reason) in [
        (SubscriptionEnd::Closed, 1000, "finished"),
        (SubscriptionEnd::Finished, 1000, "finished"),
        (SubscriptionEnd::TooSlow, 1013, "too slow"),
    ] {
        for mut visit in [Visit::raw(), Visit::objects()] {
            visit.publish("last");
            visit.feed.end(end);
            assert_eq!(visit.run(), None);
            let frames = visit.frames();
            assert!(matches!(&frames[frames.len() - 2], Frame::Text(text) if text.contains("last")));
            assert_eq!(frames.last(), Some(&Frame::close(code, reason)));
            assert_eq!(how(visit.answer()), (CloseCause::End(end), Some(code), true));
        }
    }
}

#[test]
fn a_gap_ends_a_connection_of_raw_frames() {
    let mut visit = Visit::raw();
    visit.publish("before");
    visit.feed.gap(GapReason::Evicted, None);
    visit.publish("after");
    assert_eq!(visit.run(), None);
    assert_eq!(visit.frames(), [Frame::text("before"), Frame::close(1013, "gap")]);
    assert_eq!(how(visit.answer()), (CloseCause::Gap, Some(1013), true));
}

#[test]
fn bye_tells_when_to_come_back_where_it_can() {
    let bye = |visit: &mut Visit| {
        assert_eq!(visit.run(), None);
        visit.frames();
        visit.sink.as_mut().unwrap().bye(Duration::from_millis(1_500), CloseCode::RESTART, "restart");
        assert_eq!(visit.run(), None);
        visit.frames()
    };
    assert_eq!(bye(&mut Visit::raw()), [Frame::close(1012, "restart")]);
    let frames = bye(&mut Visit::objects());
    assert_eq!(frames[0].object(), json!({ "tidings": "bye", "retry_ms": 1_500 }));
    assert_eq!(frames[1..], [Frame::close(1012, "restart")]);
}

#[test]
fn closing_rejection_has_its_code() {
    // The 123 bytes that fit end inside a character.
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
        let mut visit = Visit::raw().receive(move |_| std::future::ready(Err(closing.clone())));
        assert_eq!(visit.send(&masked(0x81, b"message").repeat(2)), None);
        assert_eq!(visit.frames(), [Frame::close(code, reason)]);
        assert_eq!(how(visit.answer()), (CloseCause::Rejected, Some(code), true));
    }
}

#[test]
fn a_message_in_hand_is_finished_after_the_end() {
    for end in [close(1000, ""), vec![]] {
        let (sender, received) = (Gate::default(), Received::default());
        let mut visit = Visit::raw().receive({
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
        visit.client.send(&masked(0x81, b"in hand"));
        visit.client.send(&end);
        if end.is_empty() {
            visit.client.end();
        }
        assert_eq!(visit.run(), None);
        assert_eq!(visit.client.is_shut(), !end.is_empty());
        sender.open();
        let closed = visit.run();
        assert_eq!(closed.unwrap().clean, !end.is_empty());
        assert_eq!(received.take_texts(), ["in hand"]);
    }
}

#[test]
fn a_handler_that_never_finishes_does_not_hold_the_end() {
    let mut visit = Visit::raw().receive(|_| std::future::pending());
    assert_eq!(visit.send(&[masked(0x81, b"message"), close(1000, "")].concat()), None);
    assert_eq!(visit.frames(), [Frame::close(1000, "")]);
    assert_eq!(how(visit.pass(WebSocketConfig::default().close_timeout)), (CloseCause::Client, Some(1000), true));
}

#[test]
fn codes_that_must_not_be_sent_are_none() {
    let good = |code: u16| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    for code in 0..=u16::MAX {
        assert_eq!(CloseCode::new(code).map(CloseCode::as_u16), good(code).then_some(code));
    }
}

/// A future that waits until it is let through.
#[derive(Clone, Default)]
pub(super) struct Gate(std::sync::Arc<std::sync::Mutex<(bool, Vec<std::task::Waker>)>>);

impl Gate {
    pub(super) fn open(&self) {
        let mut gate = self.0.lock().unwrap();
        gate.0 = true;
        let wakers = std::mem::take(&mut gate.1);
        drop(gate);
        wakers.into_iter().for_each(std::task::Waker::wake);
    }

    /// Ready once it is open, which closes it.
    pub(super) async fn pass(&self) {
        std::future::poll_fn(|cx| {
            let mut gate = self.0.lock().unwrap();
            if std::mem::take(&mut gate.0) {
                return std::task::Poll::Ready(());
            }
            gate.1.push(cx.waker().clone());
            std::task::Poll::Pending
        })
        .await;
    }
}
