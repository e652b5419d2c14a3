use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tidings::transport::websocket::{CloseCause, Subprotocol, WebSocketConfig};

use super::{Connection, Frame, Gate, Received, masked};
use crate::support::Feed;

#[test]
fn blocked_client_stops_polls_and_releases_history() {
    let mut connection = Connection::raw();
    assert_eq!(connection.run(), None);
    connection.client.allow(10);
    connection.publish("the first event, which does not fit");
    connection.counts.polls();
    assert_eq!(connection.run(), None);
    assert_eq!(connection.counts.polls(), 2, "one poll for the event, one that is pending");
    assert!(connection.counts.releases() > 0, "history is not released");
    for _ in 0..100 {
        connection.publish("more");
        assert_eq!(connection.run(), None);
    }
    assert_eq!(connection.counts.polls(), 0);
    connection.client.allow(usize::MAX);
    assert_eq!(connection.run(), None);
    assert_eq!(connection.frames().len(), 101);
    assert_eq!(connection.counts.releases(), 100);
}

#[test]
fn stalled_write_closes_after_the_write_timeout() {
    let config = WebSocketConfig::default();
    let mut connection = Connection::raw();
    connection.client.allow(1);
    connection.publish("a text");
    assert_eq!(connection.run(), None);
    // A write of one byte at a time continues.
    for _ in 0..5 {
        assert_eq!(connection.advance(config.write_timeout * 9 / 10), None);
        connection.client.allow(1);
        assert_eq!(connection.run(), None);
    }
    let closed = connection.advance(config.write_timeout).unwrap();
    assert_eq!((closed.cause, closed.code, closed.clean), (CloseCause::Stalled, None, false));
    assert_eq!(connection.timer.sleeping(), 0);
}

#[test]
fn completed_write_has_no_deadline() {
    let config = WebSocketConfig::default().ping(Duration::MAX);
    let mut connection = Connection::with(config.clone(), Subprotocol::Raw);
    connection.client.allow(1);
    connection.publish("a text");
    assert_eq!(connection.run(), None);
    assert_eq!(connection.advance(config.write_timeout / 2), None);
    connection.client.allow(usize::MAX);
    assert_eq!(connection.run(), None);
    assert_eq!(connection.advance(config.write_timeout * 10), None);
    connection.client.allow(0);
    connection.publish("another");
    assert_eq!(connection.run(), None);
    assert_eq!(connection.advance(config.write_timeout - Duration::from_millis(1)), None);
    assert_eq!(connection.advance(Duration::from_millis(1)).unwrap().cause, CloseCause::Stalled);
}

#[test]
fn flood_of_pings_is_answered_with_the_first_and_last_pong() {
    let config = WebSocketConfig::default().control_rate(u32::MAX);
    let mut connection = Connection::with(config, Subprotocol::Raw);
    connection.client.allow(0);
    for number in 0..20_000_u32 {
        assert_eq!(connection.send(&masked(0x89, &number.to_be_bytes())), None);
    }
    connection.client.allow(usize::MAX);
    assert_eq!(connection.run(), None);
    // The first pong was queued before the other pings came.
    assert_eq!(connection.frames(), [0, 19_999_u32].map(|number| Frame::Pong(number.to_be_bytes().to_vec())));
}

proptest! {
    /// A control frame is never sent inside another frame, whatever is partly written when it is due.
    #[test]
    fn control_frames_are_sent_between_frames(
        room in 1_usize..60,
        cuts in prop::collection::vec(1_usize..20, 0..4),
        batch in 1_usize..4,
        close in any::<bool>(),
    ) {
        let config = WebSocketConfig::default();
        let mut connection = Connection::of(Feed::new(7), config, Subprotocol::Raw, |reader| reader.batches_of(batch));
        connection.client.cut(&cuts);
        connection.client.allow(room);
        let texts: Vec<_> = (0..6).map(|number| format!("event {number}")).collect();
        texts.iter().for_each(|text| connection.publish(text.clone()));
        prop_assert_eq!(connection.run(), None);
        prop_assert_eq!(connection.send(&masked(0x89, b"ping")), None);
        if close {
            prop_assert_eq!(connection.send(&masked(0x88, b"\x03\xe8")), None);
        }
        connection.client.allow(usize::MAX);
        prop_assert_eq!(connection.run().is_some(), close);
        let (mut events, mut controls) = (Vec::new(), Vec::new());
        for frame in connection.frames() {
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
fn busy_handler_pauses_messages_and_keeps_pings_and_events() {
    let (gate, received) = (Gate::default(), Received::default());
    let mut connection = Connection::raw().receive({
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
    assert_eq!(connection.send(&masked(0x81, texts[0].as_bytes())), None);
    // While the handler has a message, pings are answered and events are sent.
    assert_eq!(connection.send(&masked(0x89, b"a ping")), None);
    connection.publish("an event");
    assert_eq!(connection.run(), None);
    assert_eq!(connection.frames(), [Frame::Pong(b"a ping".to_vec()), Frame::text("an event")]);
    // One more message is read, with the bytes of the same read. The rest stays unread.
    let rest: Vec<u8> = texts[1..].iter().flat_map(|text| masked(0x81, text.as_bytes())).collect();
    assert_eq!(connection.send(&rest), None);
    let unread = connection.client.unread();
    assert!(rest.len() - unread <= 16 * 1024, "{} bytes taken", rest.len() - unread);
    connection.publish("another event");
    assert_eq!(connection.run(), None);
    assert_eq!((connection.frames().len(), connection.client.unread()), (1, unread));
    for _ in 0..30 {
        gate.open();
        assert_eq!(connection.run(), None);
    }
    assert_eq!(received.take_texts(), texts);
    assert_eq!(connection.client.unread(), 0);
}

#[test]
fn flood_of_messages_yields_the_thread() {
    let handled = Arc::new(AtomicUsize::new(0));
    let config = WebSocketConfig::default().message_rate(u32::MAX);
    let connection = Connection::of(Feed::new(7), config, Subprotocol::Raw, |reader| reader);
    let mut connection = connection.receive({
        let handled = handled.clone();
        move |_| {
            handled.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(None))
        }
    });
    connection.client.send(&masked(0x81, b"").repeat(100_000));
    connection.publish("an event");
    let mut polls = 0;
    loop {
        connection.task.wakes();
        let before = handled.load(Ordering::Relaxed);
        assert!(connection.task.poll(connection.sink.as_mut().unwrap()).is_pending());
        assert!(handled.load(Ordering::Relaxed) - before <= 16);
        polls += 1;
        if polls == 1 {
            assert_eq!(connection.frames(), [Frame::text("an event")]);
        }
        if connection.task.wakes() == 0 {
            break;
        }
    }
    assert_eq!(handled.load(Ordering::Relaxed), 100_000);
}

#[test]
fn flood_of_events_yields_the_thread() {
    let config = WebSocketConfig::default().max_batch_bytes(1);
    let mut connection = Connection::of(Feed::new(7), config, Subprotocol::Raw, |reader| reader.batches_of(1));
    (0..1_000).for_each(|_| connection.publish("tick"));
    connection.client.send(&masked(0x89, b"ping"));
    assert!(connection.task.poll(connection.sink.as_mut().unwrap()).is_pending());
    assert!(connection.client.writes() <= 17);
    assert_eq!(connection.task.wakes(), 1);
    assert_eq!(connection.run(), None);
    assert_eq!(connection.frames().len(), 1_001);
}

#[test]
fn dropped_sink_leaves_no_sleep_and_shuts_the_connection() {
    for polls in 0..6 {
        let mut connection = Connection::objects().receive(|_| std::future::pending());
        connection.client.cut(&[7]);
        connection.client.allow(30 * polls);
        connection.publish("an event");
        connection.client.send(&masked(0x81, b"message").repeat(3));
        (0..polls).for_each(|_| assert!(connection.task.poll(connection.sink.as_mut().unwrap()).is_pending()));
        connection.sink = None;
        assert_eq!(connection.timer.sleeping(), 0);
        assert!(connection.client.is_shut());
    }
}

#[test]
fn sink_is_at_most_320_bytes() {
    assert!(size_of::<tidings::transport::websocket::WebSocketSink<(), ()>>() <= 320);
}
