use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tidings::transport::websocket::{CloseCause, Subprotocol, WebSocketConfig};

use super::closing::Gate;
use super::{Frame, Received, Visit, masked};
use crate::support::Feed;

#[test]
fn a_client_that_takes_nothing_is_asked_for_and_holds_nothing() {
    let mut visit = Visit::raw();
    assert_eq!(visit.run(), None);
    visit.client.allow(10);
    visit.publish("first, which does not fit");
    visit.watch.polls();
    assert_eq!(visit.run(), None);
    assert_eq!(visit.watch.polls(), 2, "an event, and that there is no other");
    assert!(visit.watch.detached() > 0, "it lets go of history");
    for _ in 0..100 {
        visit.publish("more");
        assert_eq!(visit.run(), None);
    }
    assert_eq!(visit.watch.polls(), 0);
    visit.client.allow(usize::MAX);
    assert_eq!(visit.run(), None);
    assert_eq!(visit.frames().len(), 101);
    assert_eq!(visit.watch.detached(), 100);
}

#[test]
fn a_write_that_does_not_go_on_ends_the_connection() {
    let config = WebSocketConfig::default();
    let mut visit = Visit::raw();
    visit.client.allow(1);
    visit.publish("a text");
    assert_eq!(visit.run(), None);
    // One byte at a time is slow, and goes on.
    for _ in 0..5 {
        assert_eq!(visit.pass(config.write_timeout * 9 / 10), None);
        visit.client.allow(1);
        assert_eq!(visit.run(), None);
    }
    let closed = visit.pass(config.write_timeout).unwrap();
    assert_eq!((closed.cause, closed.code, closed.clean), (CloseCause::Stalled, None, false));
    assert_eq!(visit.timer.sleeping(), 0);
}

#[test]
fn a_write_that_went_through_has_no_deadline() {
    let config = WebSocketConfig::default().ping(Duration::MAX);
    let mut visit = Visit::with(config.clone(), Subprotocol::Raw);
    visit.client.allow(1);
    visit.publish("a text");
    assert_eq!(visit.run(), None);
    assert_eq!(visit.pass(config.write_timeout / 2), None);
    visit.client.allow(usize::MAX);
    assert_eq!(visit.run(), None);
    assert_eq!(visit.pass(config.write_timeout * 10), None);
    visit.client.allow(0);
    visit.publish("another");
    assert_eq!(visit.run(), None);
    assert_eq!(visit.pass(config.write_timeout - Duration::from_millis(1)), None);
    assert_eq!(visit.pass(Duration::from_millis(1)).unwrap().cause, CloseCause::Stalled);
}

#[test]
fn a_flood_of_pings_costs_one_pong() {
    let config = WebSocketConfig::default().control_rate(u32::MAX);
    let mut visit = Visit::with(config, Subprotocol::Raw);
    visit.client.allow(0);
    for number in 0..20_000_u32 {
        assert_eq!(visit.send(&masked(0x89, &number.to_be_bytes())), None);
    }
    visit.client.allow(usize::MAX);
    assert_eq!(visit.run(), None);
    // The first was in the queue before the others came.
    assert_eq!(visit.frames(), [0, 19_999_u32].map(|number| Frame::Pong(number.to_be_bytes().to_vec())));
}

proptest! {
    /// Whatever is half written when a control frame is due, frames never run into one another.
    #[test]
    fn control_frames_go_between_frames(
        room in 1_usize..60,
        cuts in prop::collection::vec(1_usize..20, 0..4),
        batch in 1_usize..4,
        close in any::<bool>(),
    ) {
        let config = WebSocketConfig::default();
        let mut visit = Visit::of(Feed::new(7), config, Subprotocol::Raw, |reader| reader.batches_of(batch));
        visit.client.cut(&cuts);
        visit.client.allow(room);
        let texts: Vec<_> = (0..6).map(|number| format!("event {number}")).collect();
        texts.iter().for_each(|text| visit.publish(text.clone()));
        prop_assert_eq!(visit.run(), None);
        prop_assert_eq!(visit.send(&masked(0x89, b"ping")), None);
        if close {
            prop_assert_eq!(visit.send(&masked(0x88, b"\x03\xe8")), None);
        }
        visit.client.allow(usize::MAX);
        prop_assert_eq!(visit.run().is_some(), close);
        let (mut events, mut controls) = (Vec::new(), Vec::new());
        for frame in visit.frames() {
            match frame {
                Frame::Text(text) => events.push(text),
                other => controls.push(other),
            }
        }
        let pong = Frame::Pong(b"ping".to_vec());
        if close {
            prop_assert!(texts.starts_with(&events));
            prop_assert_eq!(controls, [pong, Frame::close(1000, "")]);
        } else {
            prop_assert_eq!(events, texts);
            prop_assert_eq!(controls, [pong]);
        }
    }
}

#[test]
fn a_busy_handler_stops_the_client_and_nothing_else() {
    let (gate, received) = (Gate::default(), Received::default());
    let mut visit = Visit::raw().receive({
        let (gate, received) = (gate.clone(), received.clone());
        move |message| {
            let (gate, received) = (gate.clone(), received.clone());
            async move {
                gate.pass().await;
                received.put(message);
                Ok(None)
            }
        }
    });
    let texts: Vec<_> = (0..30).map(|number| format!("{number:04}").repeat(1_000)).collect();
    assert_eq!(visit.send(&masked(0x81, texts[0].as_bytes())), None);
    // One in hand: pings are answered, and events flow.
    assert_eq!(visit.send(&masked(0x89, b"a ping")), None);
    visit.publish("an event");
    assert_eq!(visit.run(), None);
    assert_eq!(visit.frames(), [Frame::Pong(b"a ping".to_vec()), Frame::text("an event")]);
    // One more is read, with what came along in the same read; the rest is left to the client.
    let rest: Vec<u8> = texts[1..].iter().flat_map(|text| masked(0x81, text.as_bytes())).collect();
    assert_eq!(visit.send(&rest), None);
    let unread = visit.client.unread();
    assert!(rest.len() - unread <= 16 * 1024, "{} bytes taken", rest.len() - unread);
    visit.publish("another event");
    assert_eq!(visit.run(), None);
    assert_eq!((visit.frames().len(), visit.client.unread()), (1, unread));
    for _ in 0..30 {
        gate.open();
        assert_eq!(visit.run(), None);
    }
    assert_eq!(received.take_texts(), texts);
    assert_eq!(visit.client.unread(), 0);
}

#[test]
fn a_flood_of_messages_leaves_the_thread_to_others() {
    let handled = Arc::new(AtomicUsize::new(0));
    let config = WebSocketConfig::default().message_rate(u32::MAX);
    let visit = Visit::of(Feed::new(7), config, Subprotocol::Raw, |reader| reader);
    let mut visit = visit.receive({
        let handled = handled.clone();
        move |_| {
            handled.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(None))
        }
    });
    visit.client.send(&masked(0x81, b"").repeat(100_000));
    visit.publish("an event");
    let mut polls = 0;
    loop {
        visit.task.wakes();
        let before = handled.load(Ordering::Relaxed);
        assert!(visit.task.poll(visit.sink.as_mut().unwrap()).is_pending());
        assert!(handled.load(Ordering::Relaxed) - before <= 16);
        polls += 1;
        if polls == 1 {
            assert_eq!(visit.frames(), [Frame::text("an event")]);
        }
        if visit.task.wakes() == 0 {
            break;
        }
    }
    assert_eq!(handled.load(Ordering::Relaxed), 100_000);
}

#[test]
fn a_flood_of_events_leaves_the_thread_to_others() {
    let config = WebSocketConfig::default().max_batch_bytes(1);
    let mut visit = Visit::of(Feed::new(7), config, Subprotocol::Raw, |reader| reader.batches_of(1));
    (0..1_000).for_each(|_| visit.publish("tick"));
    visit.client.send(&masked(0x89, b"ping"));
    assert!(visit.task.poll(visit.sink.as_mut().unwrap()).is_pending());
    assert!(visit.client.writes() <= 17);
    assert_eq!(visit.task.wakes(), 1);
    assert_eq!(visit.run(), None);
    assert_eq!(visit.frames().len(), 1_001);
}

#[test]
fn it_may_be_dropped_at_any_point() {
    for polls in 0..6 {
        let mut visit = Visit::objects().receive(|_| std::future::pending());
        visit.client.cut(&[7]);
        visit.client.allow(30 * polls);
        visit.publish("an event");
        visit.client.send(&masked(0x81, b"message").repeat(3));
        (0..polls).for_each(|_| assert!(visit.task.poll(visit.sink.as_mut().unwrap()).is_pending()));
        visit.sink = None;
        assert_eq!(visit.timer.sleeping(), 0);
        assert!(visit.client.is_shut());
    }
}

#[test]
fn a_connection_is_small() {
    assert!(size_of::<tidings::transport::websocket::WebSocketSink<(), ()>>() <= 320);
}
