use tidings::transport::websocket::{CloseCause, CloseCode, Subprotocol, WebSocketConfig};

use super::{Frame, Visit, masked};
use crate::support::Feed;

/// A connection whose client has taken so many bytes, and no more, of events that stand in the queue as so many pieces.
fn stuck(taken: usize, pieces: usize) -> Visit {
    let mut visit =
        Visit::of(Feed::new(7), WebSocketConfig::default(), Subprotocol::Raw, |reader| reader.batches_of(1));
    visit.client.allow(taken);
    (0..pieces).for_each(|number| visit.publish(format!("event {number}")));
    assert!(visit.run().is_none());
    visit
}

fn close_now(visit: &mut Visit) -> Option<tidings::transport::websocket::Closed> {
    visit.sink.as_mut().unwrap().close_now(CloseCode::POLICY, "revoked");
    visit.client.allow(usize::MAX);
    visit.run()
}

#[test]
fn what_is_queued_is_thrown_away_between_frames_and_the_connection_dropped_inside_one() {
    // Each event is a frame of nine bytes.
    for pieces in 1..4 {
        for taken in 0..=9 * pieces {
            let mut visit = stuck(taken, pieces);
            let closed = close_now(&mut visit);
            let whole: Vec<_> = (0..taken / 9).map(|number| Frame::text(&format!("event {number}"))).collect();
            let mut frames = visit.frames();
            if taken % 9 == 0 {
                assert_eq!((closed, frames.pop()), (None, Some(Frame::close(1008, "revoked"))), "{taken}");
                let closed = visit.send(&masked(0x88, &1008_u16.to_be_bytes())).unwrap();
                assert_eq!((closed.cause, closed.clean), (CloseCause::Asked, true));
            } else {
                let closed = closed.unwrap();
                assert_eq!((closed.cause, closed.clean), (CloseCause::Asked, false), "{taken} of {pieces}");
            }
            assert_eq!(frames, whole, "{taken} of {pieces}");
            assert_eq!(visit.timer.sleeping(), 0);
        }
    }
}

#[test]
fn it_takes_the_place_of_an_end_that_has_begun() {
    for begin in [0, 1, 2] {
        let mut visit = stuck(0, 3);
        match begin {
            0 => visit.sink.as_mut().unwrap().close(CloseCode::RESTART, "restart"),
            1 => assert!(visit.send(&masked(0x88, &1000_u16.to_be_bytes())).is_none()),
            _ => assert!(visit.send(&masked(0xc1, b"x")).is_none()),
        }
        close_now(&mut visit);
        assert_eq!(visit.frames(), [Frame::close(1008, "revoked")], "{begin}");
    }
    // What was said already is said.
    let mut visit = Visit::raw();
    visit.sink.as_mut().unwrap().close(CloseCode::RESTART, "restart");
    assert!(visit.run().is_none());
    assert!(close_now(&mut visit).is_none());
    assert_eq!(visit.frames(), [Frame::close(1012, "restart")]);
}
