//! Cursors in pings, which the pongs of the client acknowledge.

use std::time::Duration;

use proptest::prelude::*;
use tidings::transport::websocket::{CloseCause, Subprotocol, WebSocketConfig};

use super::{Connection, Frame, masked};
use crate::support::Feed;

const SECOND: Duration = Duration::from_secs(1);

/// Returns a connection of a client that pings are sent to each two seconds.
fn connection(subprotocol: Subprotocol, raw: bool) -> Connection {
    let config = WebSocketConfig::default().ping(2 * SECOND).pong_timeout(SECOND).raw_acknowledgements(raw);
    Connection::with(config, subprotocol)
}

/// Runs until the next ping.
fn ping(connection: &mut Connection) {
    for _ in 0..100 {
        if connection.frames().contains(&Frame::Ping) {
            return;
        }
        assert_eq!(connection.advance(SECOND / 10), None);
    }
    panic!("no ping");
}

fn pong(connection: &mut Connection, round: u8, cursor: &str) {
    assert_eq!(connection.send(&masked(0x8a, &[&[round], cursor.as_bytes()].concat())), None);
}

#[test]
fn pong_acknowledges_the_events_before_its_ping() {
    for (subprotocol, raw) in [(Subprotocol::TidingsV1, false), (Subprotocol::Raw, true)] {
        let mut connection = connection(subprotocol, raw);
        (0..2).for_each(|_| connection.publish("before"));
        ping(&mut connection);
        connection.publish("after");
        assert_eq!((connection.run(), connection.counts.acknowledged()), (None, vec![]));
        assert_eq!(connection.answer(), None);
        assert_eq!(connection.counts.acknowledged(), ["7.a2"]);
        ping(&mut connection);
        assert_eq!(connection.answer(), None);
        assert_eq!(connection.counts.acknowledged(), ["7.a2", "7.a3"]);
    }
}

#[test]
fn raw_pings_contain_no_cursor_by_default() {
    let mut connection = connection(Subprotocol::Raw, false);
    connection.publish("one");
    for round in 0..3 {
        ping(&mut connection);
        pong(&mut connection, round, "");
    }
    assert_eq!(connection.counts.acknowledged(), Vec::<String>::new());
}

#[test]
fn ping_of_a_source_without_cursors_acknowledges_nothing() {
    let config = WebSocketConfig::default().ping(2 * SECOND);
    let mut connection = Connection::of(Feed::new(0), config, Subprotocol::TidingsV1, |reader| reader);
    connection.publish("one");
    ping(&mut connection);
    pong(&mut connection, 0, "");
    assert_eq!(connection.counts.acknowledged(), Vec::<String>::new());
    ping(&mut connection);
}

#[test]
fn forged_pong_acknowledges_nothing_and_is_no_answer() {
    for (round, cursor) in
        [(0, ""), (0, "7.a3"), (0, "7.a1"), (1, "7.a2"), (0, "7.a2 "), (0, "7.a2.z"), (0, "8.a2"), (0, "7.a02")]
    {
        let mut connection = connection(Subprotocol::TidingsV1, false);
        (0..2).for_each(|_| connection.publish("event"));
        ping(&mut connection);
        pong(&mut connection, round, cursor);
        assert_eq!(connection.counts.acknowledged(), Vec::<String>::new(), "{round} {cursor}");
        // It shows that the client lives, so that it is pinged once more.
        assert_eq!(connection.advance(4 * SECOND).unwrap().cause, CloseCause::NoPong, "{round} {cursor}");
    }
}

#[test]
fn stale_pong_acknowledges_nothing() {
    let mut connection = connection(Subprotocol::TidingsV1, false);
    connection.publish("one");
    ping(&mut connection);
    pong(&mut connection, 0, "7.a1");
    // Before the next ping, and after it.
    pong(&mut connection, 0, "7.a1");
    connection.publish("two");
    ping(&mut connection);
    pong(&mut connection, 0, "7.a1");
    assert_eq!(connection.counts.acknowledged(), ["7.a1"]);
    pong(&mut connection, 1, "7.a2");
    assert_eq!(connection.counts.acknowledged(), ["7.a1", "7.a2"]);
}

/// The client answers none of the pings, and sends something else.
#[test]
fn repeated_ping_has_the_payload_of_the_first() {
    let mut connection = connection(Subprotocol::TidingsV1, false);
    connection.publish("one");
    ping(&mut connection);
    connection.publish("two");
    assert_eq!(connection.send(&masked(0x81, b"hi")), None);
    ping(&mut connection);
    pong(&mut connection, 0, "7.a2");
    assert_eq!(connection.counts.acknowledged(), Vec::<String>::new());
    pong(&mut connection, 0, "7.a1");
    assert_eq!(connection.counts.acknowledged(), ["7.a1"]);
}

#[derive(Debug, Clone)]
enum Step {
    Publish,
    Wait(u64),
    /// A message, so that a client that answers no ping stays.
    Message,
    Answer,
    Forge {
        round: u8,
        sequence: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let forge = (0..4_u8, 0..12_u64).prop_map(|(round, sequence)| Step::Forge { round, sequence });
    let step = prop_oneof![
        3 => Just(Step::Publish),
        4 => (1..30_u64).prop_map(Step::Wait),
        1 => Just(Step::Message),
        3 => Just(Step::Answer),
        2 => forge,
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(crate::support::cases(128))]

    /// Acknowledged cursors ascend, and each was the cursor of a ping that the client had received.
    #[test]
    fn only_the_payload_of_the_unanswered_ping_is_acknowledged(steps in steps()) {
        let mut connection = connection(Subprotocol::TidingsV1, false);
        let (mut published, mut pinged, mut expected) = (0_u64, None, Vec::new());
        let mut round = 0_u8;
        for step in steps {
            let over = match step {
                Step::Publish => {
                    connection.publish("event");
                    published += 1;
                    connection.run()
                }
                Step::Wait(tenths) => connection.advance(Duration::from_millis(100 * tenths)),
                Step::Message => connection.send(&masked(0x81, b"hi")),
                Step::Answer => match pinged {
                    Some(sequence) => {
                        let cursor = tidings::Cursor::new(7, sequence).to_string();
                        connection.send(&masked(0x8a, &[&[round], cursor.as_bytes()].concat()))
                    }
                    None => None,
                },
                Step::Forge { round, sequence } => {
                    let cursor = tidings::Cursor::new(7, sequence).to_string();
                    connection.send(&masked(0x8a, &[&[round], cursor.as_bytes()].concat()))
                }
            };
            // The model: a pong counts if it is that of the first unanswered ping.
            let sent = match step {
                Step::Answer => pinged.map(|sequence| (round, sequence)),
                Step::Forge { round, sequence } => Some((round, sequence)),
                _ => None,
            };
            if sent.is_some() && sent == pinged.map(|sequence| (round, sequence)) {
                expected.push(tidings::Cursor::new(7, sent.unwrap().1).to_string());
                (pinged, round) = (None, round.wrapping_add(1));
            }
            prop_assert_eq!(&connection.counts.acknowledged(), &expected);
            if over.is_some() {
                break;
            }
            // Everything is written at once, so a ping has the cursor of the last event.
            if connection.frames().contains(&Frame::Ping) && pinged.is_none() {
                pinged = Some(published);
            }
        }
    }
}
