use proptest::prelude::*;
use tidings::Message;
use tidings::transport::websocket::{Subprotocol, WebSocketConfig};
use tungstenite::WebSocket;
use tungstenite::protocol::Role;

use super::{Connection, Frame, Received, masked};

/// An action of a client.
#[derive(Debug, Clone)]
enum Action {
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

fn any_action() -> impl Strategy<Value = Action> {
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
        Action::Message { text, fragments }
    });
    prop_oneof![3 => message, 1 => any_control().prop_map(Action::Control)]
}

fn write(actions: &[Action]) -> Vec<u8> {
    let control = |control: &Control| match control {
        Control::Ping(payload) => masked(0x89, payload),
        Control::Pong(payload) => masked(0x8a, payload),
    };
    let mut bytes = Vec::new();
    for action in actions {
        match action {
            Action::Control(frame) => bytes.extend(control(frame)),
            Action::Message { text, fragments } => {
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

/// Returns the messages that the server of tungstenite reads from the bytes, up to the first error.
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

/// Returns a connection without a limit of control frames.
fn tolerant() -> Connection {
    Connection::with(WebSocketConfig::default().control_rate(u32::MAX), Subprotocol::Raw)
}

proptest! {
    #[test]
    fn fragmented_messages_are_read_the_same_as_by_tungstenite(
        actions in prop::collection::vec(any_action(), 0..10),
        cuts in prop::collection::vec(1_usize..600, 0..6),
    ) {
        let bytes = write(&actions);
        let mut connection = tolerant();
        connection.client.cut(&cuts);
        prop_assert_eq!(connection.send(&bytes), None);
        prop_assert_eq!(connection.received.take(), by_tungstenite(&bytes));
        prop_assert_eq!(connection.client.unread(), 0);
    }

    /// Two readers of a damaged stream agree on the messages that both read.
    #[test]
    fn damaged_messages_are_read_the_same_as_by_tungstenite(
        actions in prop::collection::vec(any_action(), 1..6),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cuts in prop::collection::vec(1_usize..600, 0..3),
    ) {
        let mut bytes = write(&actions);
        damage.iter().for_each(|(at, byte)| *at.get_mut(&mut bytes) = *byte);
        let mut connection = tolerant();
        connection.client.cut(&cuts);
        connection.send(&bytes);
        let (ours, theirs) = (connection.received.take(), by_tungstenite(&bytes));
        let both = ours.len().min(theirs.len());
        prop_assert_eq!(&ours[..both], &theirs[..both]);
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        cuts in prop::collection::vec(1_usize..40, 0..3),
    ) {
        let mut connection = tolerant();
        connection.client.cut(&cuts);
        // The first bytes may be a whole close frame.
        if connection.send(&bytes).is_none() {
            connection.client.end();
            prop_assert!(connection.run().is_some());
        }
        prop_assert_eq!(connection.timer.sleeping(), 0);
    }

    #[test]
    fn ping_is_answered_with_its_payload(
        pings in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..=125), 1..=10),
        cuts in prop::collection::vec(1_usize..60, 0..3),
    ) {
        let mut connection = Connection::raw();
        connection.client.cut(&cuts);
        prop_assert_eq!(connection.send(&pings.iter().flat_map(|ping| masked(0x89, ping)).collect::<Vec<_>>()), None);
        prop_assert_eq!(connection.frames(), pings.into_iter().map(Frame::Pong).collect::<Vec<_>>());
    }
}

#[test]
fn message_at_the_size_limit_is_accepted_byte_by_byte() {
    let config = WebSocketConfig::default().max_message(1_000);
    let mut connection = Connection::with(config, Subprotocol::Raw);
    let text = "🦀".repeat(250);
    for byte in masked(0x81, text.as_bytes()) {
        assert_eq!(connection.send(&[byte]), None);
    }
    assert_eq!(connection.received.take_texts(), [text]);
}

#[test]
fn message_with_more_than_max_fragments_closes_with_1008() {
    let config = WebSocketConfig::default();
    let mut bytes = masked(0x02, b"x");
    (1..config.max_fragments).for_each(|_| bytes.extend(masked(0x00, b"")));
    let last = masked(0x80, b"y");
    let mut connection = Connection::raw();
    assert_eq!(connection.send(&bytes), None);
    assert_eq!(connection.send(&last), None);
    assert_eq!(connection.received.take(), [Message::Binary((&b"xy"[..]).into())]);

    bytes.extend(masked(0x00, b""));
    assert_eq!(connection.send(&bytes), None);
    assert_eq!(connection.frames(), []);
    assert_eq!(connection.send(&last), None);
    assert_eq!(connection.frames(), [Frame::close(1008, "too many fragments")]);
}

#[test]
fn connections_on_one_thread_share_no_state() {
    let (mut one, mut other) = (Connection::raw(), Connection::raw());
    let (first, second) = (masked(0x81, b"first message"), masked(0x81, b"second message"));
    for at in 0..first.len() {
        assert_eq!((one.send(&first[at..=at]), other.send(&second[at..=at])), (None, None));
    }
    assert_eq!(one.received.take_texts(), ["first message"]);
    assert_eq!(other.send(&second[first.len()..]), None);
    assert_eq!(other.received.take_texts(), ["second message"]);
}

#[test]
fn handler_may_run_another_connection() {
    let inner = Connection::raw();
    inner.client.send(&masked(0x81, b"inner"));
    let received: Received = inner.received.clone();
    let inner = std::sync::Mutex::new(inner);
    let mut outer = Connection::raw().receive(move |_| {
        assert_eq!(inner.lock().unwrap().run(), None);
        std::future::ready(Ok(None))
    });
    assert_eq!(outer.send(&masked(0x81, b"outer")), None);
    assert_eq!(received.take_texts(), ["inner"]);
}
