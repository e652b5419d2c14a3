use tidings::transport::websocket::{CloseCause, CloseCode, Subprotocol, WebSocketConfig};

use super::{Connection, Frame, masked};
use crate::support::Feed;

/// Returns a connection with `pieces` queued events whose client has taken `taken` bytes and takes no more.
fn blocked(taken: usize, pieces: usize) -> Connection {
    let mut connection =
        Connection::of(Feed::new(7), WebSocketConfig::default(), Subprotocol::Raw, |reader| reader.batches_of(1));
    connection.client.allow(taken);
    (0..pieces).for_each(|number| connection.publish(format!("event {number}")));
    assert!(connection.run().is_none());
    connection
}

fn close_now(connection: &mut Connection) -> Option<tidings::transport::websocket::Closed> {
    connection.sink.as_mut().unwrap().close_now(CloseCode::POLICY, "revoked");
    connection.client.allow(usize::MAX);
    connection.run()
}

#[test]
fn close_now_discards_queued_frames_and_drops_a_connection_inside_a_frame() {
    // Each event is a frame of nine bytes.
    for pieces in 1..4 {
        for taken in 0..=9 * pieces {
            let mut connection = blocked(taken, pieces);
            let closed = close_now(&mut connection);
            let whole: Vec<_> = (0..taken / 9).map(|number| Frame::text(&format!("event {number}"))).collect();
            let mut frames = connection.frames();
            if taken % 9 == 0 {
                assert_eq!((closed, frames.pop()), (None, Some(Frame::close(1008, "revoked"))), "{taken}");
                let closed = connection.send(&masked(0x88, &1008_u16.to_be_bytes())).unwrap();
                assert_eq!((closed.cause, closed.clean), (CloseCause::Asked, true));
            } else {
                let closed = closed.unwrap();
                assert_eq!((closed.cause, closed.clean), (CloseCause::Asked, false), "{taken} of {pieces}");
            }
            assert_eq!(frames, whole, "{taken} of {pieces}");
            assert_eq!(connection.timer.sleeping(), 0);
        }
    }
}

#[test]
fn close_now_replaces_a_close_in_progress() {
    for begin in [0, 1, 2] {
        let mut connection = blocked(0, 3);
        match begin {
            0 => connection.sink.as_mut().unwrap().close(CloseCode::RESTART, "restart"),
            1 => assert!(connection.send(&masked(0x88, &1000_u16.to_be_bytes())).is_none()),
            _ => assert!(connection.send(&masked(0xc1, b"x")).is_none()),
        }
        close_now(&mut connection);
        assert_eq!(connection.frames(), [Frame::close(1008, "revoked")], "{begin}");
    }
    // A Close that was written is not replaced.
    let mut connection = Connection::raw();
    connection.sink.as_mut().unwrap().close(CloseCode::RESTART, "restart");
    assert!(connection.run().is_none());
    assert!(close_now(&mut connection).is_none());
    assert_eq!(connection.frames(), [Frame::close(1012, "restart")]);
}
