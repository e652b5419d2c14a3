use proptest::prelude::*;
use tidings::Message;
use tidings::transport::websocket::{Subprotocol, WebSocketConfig};
use tungstenite::WebSocket;
use tungstenite::protocol::Role;

use super::{Frame, Received, Visit, masked};

/// Something that a client may do.
#[derive(Debug, Clone)]
enum Act {
    /// A message in fragments, with control frames between them.
    Message {
        text: bool,
        fragments: Vec<(Vec<u8>, Option<Control>)>,
    },
    Control(Control),
}

#[derive(Debug, Clone)]
enum Control {
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn any_control() -> impl Strategy<Value = Control> {
    let payload = || prop::collection::vec(any::<u8>(), 0..=125);
    prop_oneof![payload().prop_map(Control::Ping), payload().prop_map(Control::Pong)]
}

fn any_act() -> impl Strategy<Value = Act> {
    let text = prop_oneof!["[a-zäß漢🦀]{0,300}", any::<String>()].prop_map(|text| (true, text.into_bytes()));
    let binary = prop::collection::vec(any::<u8>(), 0..2_000).prop_map(|bytes| (false, bytes));
    let cuts = prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(any_control())), 0..6);
    let message = (prop_oneof![text, binary], cuts).prop_map(|((text, bytes), cuts)| {
        let mut cuts: Vec<_> = cuts.into_iter().map(|(at, control)| (at.index(bytes.len() + 1), control)).collect();
        cuts.sort_by_key(|(at, _)| *at);
        let (mut fragments, mut from) = (Vec::new(), 0);
        for (at, control) in cuts {
            fragments.push((bytes[from..at].to_vec(), control));
            from = at;
        }
        fragments.push((bytes[from..].to_vec(), None));
        Act::Message { text, fragments }
    });
    prop_oneof![3 => message, 1 => any_control().prop_map(Act::Control)]
}

fn write(acts: &[Act]) -> Vec<u8> {
    let control = |control: &Control| match control {
        Control::Ping(payload) => masked(0x89, payload),
        Control::Pong(payload) => masked(0x8a, payload),
    };
    let mut bytes = Vec::new();
    for act in acts {
        match act {
            Act::Control(frame) => bytes.extend(control(frame)),
            Act::Message { text, fragments } => {
                for (at, (fragment, between)) in fragments.iter().enumerate() {
                    let opcode = if at > 0 { 0 } else { 2 - u8::from(*text) };
                    let last = if at + 1 == fragments.len() { 0x80 } else { 0 };
                    bytes.extend(masked(opcode | last, fragment));
                    bytes.extend(between.iter().flat_map(control));
                }
            }
        }
    }
    bytes
}

/// Returns the messages that tungstenite's server reads from the bytes, up to the first thing that it refuses.
fn by_tungstenite(bytes: &[u8]) -> Vec<Message> {
    struct Tape<'a>(&'a [u8]);
    impl std::io::Read for Tape<'_> {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buf)
        }
    }
    impl std::io::Write for Tape<'_> {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            Ok(buf.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut server = WebSocket::from_raw_socket(Tape(bytes), Role::Server, None);
    let mut messages = Vec::new();
    while let Ok(message) = server.read() {
        match message {
            tungstenite::Message::Text(text) => messages.push(Message::Text(text.to_string())),
            tungstenite::Message::Binary(bytes) => messages.push(Message::Binary(bytes)),
            _ => {}
        }
    }
    messages
}

fn tolerant() -> Visit {
    Visit::with(WebSocketConfig::default().control_rate(u32::MAX), Subprotocol::Raw)
}

proptest! {
    #[test]
    fn messages_are_put_together_as_tungstenite_does(
        acts in prop::collection::vec(any_act(), 0..10),
        cuts in prop::collection::vec(1_usize..600, 0..6),
    ) {
        let bytes = write(&acts);
        let mut visit = tolerant();
        visit.client.cut(&cuts);
        prop_assert_eq!(visit.send(&bytes), None);
        prop_assert_eq!(visit.received.take(), by_tungstenite(&bytes));
        prop_assert_eq!(visit.client.unread(), 0);
    }

    /// Two readers of one damaged stream agree as far as both go.
    #[test]
    fn damaged_messages_are_no_other_than_tungstenites(
        acts in prop::collection::vec(any_act(), 1..6),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cuts in prop::collection::vec(1_usize..600, 0..3),
    ) {
        let mut bytes = write(&acts);
        damage.iter().for_each(|(at, byte)| *at.get_mut(&mut bytes) = *byte);
        let mut visit = tolerant();
        visit.client.cut(&cuts);
        visit.send(&bytes);
        let (ours, theirs) = (visit.received.take(), by_tungstenite(&bytes));
        let both = ours.len().min(theirs.len());
        prop_assert_eq!(&ours[..both], &theirs[..both]);
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        cuts in prop::collection::vec(1_usize..40, 0..3),
    ) {
        let mut visit = tolerant();
        visit.client.cut(&cuts);
        // The first of them may be a whole close frame.
        if visit.send(&bytes).is_none() {
            visit.client.end();
            prop_assert!(visit.run().is_some());
        }
        prop_assert_eq!(visit.timer.sleeping(), 0);
    }

    #[test]
    fn every_ping_is_answered_with_its_payload(
        pings in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..=125), 1..=10),
        cuts in prop::collection::vec(1_usize..60, 0..3),
    ) {
        let mut visit = Visit::raw();
        visit.client.cut(&cuts);
        prop_assert_eq!(visit.send(&pings.iter().flat_map(|ping| masked(0x89, ping)).collect::<Vec<_>>()), None);
        prop_assert_eq!(visit.frames(), pings.into_iter().map(Frame::Pong).collect::<Vec<_>>());
    }
}

#[test]
fn a_message_may_come_byte_by_byte_and_be_of_the_limit() {
    let config = WebSocketConfig::default().max_message(1_000);
    let mut visit = Visit::with(config, Subprotocol::Raw);
    let text = "🦀".repeat(250);
    for byte in masked(0x81, text.as_bytes()) {
        assert_eq!(visit.send(&[byte]), None);
    }
    assert_eq!(visit.received.take_texts(), [text]);
}

#[test]
fn fragments_of_one_byte_count_up_to_their_limit() {
    let config = WebSocketConfig::default();
    let mut bytes = masked(0x02, b"x");
    (1..config.max_fragments).for_each(|_| bytes.extend(masked(0x00, b"")));
    let last = masked(0x80, b"y");
    let mut visit = Visit::raw();
    assert_eq!(visit.send(&bytes), None);
    assert_eq!(visit.send(&last), None);
    assert_eq!(visit.received.take(), [Message::Binary((&b"xy"[..]).into())]);

    bytes.extend(masked(0x00, b""));
    assert_eq!(visit.send(&bytes), None);
    assert_eq!(visit.frames(), []);
    assert_eq!(visit.send(&last), None);
    assert_eq!(visit.frames(), [Frame::close(1008, "too many fragments")]);
}

#[test]
fn two_connections_of_one_thread_do_not_mix() {
    let (mut one, mut other) = (Visit::raw(), Visit::raw());
    let (first, second) = (masked(0x81, b"first message"), masked(0x81, b"second message"));
    for at in 0..first.len() {
        assert_eq!((one.send(&first[at..=at]), other.send(&second[at..=at])), (None, None));
    }
    assert_eq!(one.received.take_texts(), ["first message"]);
    assert_eq!(other.send(&second[first.len()..]), None);
    assert_eq!(other.received.take_texts(), ["second message"]);
}

#[test]
fn a_handler_may_run_another_connection() {
    let inner = Visit::raw();
    inner.client.send(&masked(0x81, b"inner"));
    let received: Received = inner.received.clone();
    let inner = std::sync::Mutex::new(inner);
    let mut outer = Visit::raw().receive(move |_| {
        assert_eq!(inner.lock().unwrap().run(), None);
        std::future::ready(Ok(None))
    });
    assert_eq!(outer.send(&masked(0x81, b"outer")), None);
    assert_eq!(received.take_texts(), ["inner"]);
}
