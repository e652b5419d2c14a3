use std::time::Duration;

use tidings::Message;
use tidings::transport::websocket::{CloseCause, Subprotocol, WebSocketConfig};

use super::{Connection, Frame, masked};

/// Returns bytes that break a rule, each with the code and the reason of the Close.
fn table() -> Vec<(Vec<u8>, u16, &'static str)> {
    let mut unmasked = masked(0x81, b"");
    unmasked[1] &= 0x7f;
    let header = |second: u8, length: &[u8]| [&[0x82, 0x80 | second], length, &[0; 4]].concat();
    let mut table = vec![
        (unmasked, 1002, "frame not masked"),
        (header(126, &[0, 125]), 1002, "length not minimal"),
        (header(127, &65_535_u64.to_be_bytes()), 1002, "length not minimal"),
        (header(127, &(1_u64 << 63).to_be_bytes()), 1002, "length not minimal"),
        (header(127, &i64::MAX.to_be_bytes()), 1009, "message too big"),
        (header(127, &65_537_u64.to_be_bytes()), 1009, "message too big"),
        ([masked(0x02, &[0; 60_000]), masked(0x00, &[0; 5_536]), masked(0x80, b"!")].concat(), 1009, "message too big"),
        (masked(0x80, b"x"), 1002, "continuation of no message"),
        (masked(0x00, b"x"), 1002, "continuation of no message"),
        ([masked(0x81, b"x"), masked(0x80, b"x")].concat(), 1002, "continuation of no message"),
        ([masked(0x01, b"x"), masked(0x81, b"x")].concat(), 1002, "message begun inside another"),
        ([masked(0x01, b"x"), masked(0x02, b"x")].concat(), 1002, "message begun inside another"),
        (masked(0x88, b"\x03"), 1002, "close code cut short"),
        (masked(0x88, b"\x03\xe8\xff"), 1007, "not UTF-8"),
        (masked(0x88, b"\x03\xe8\xe2\x82"), 1007, "not UTF-8"),
    ];
    for bit in [0x40, 0x20, 0x10] {
        table.push((masked(0x81 | bit, b"x"), 1002, "reserved bit set"));
        table.push((masked(0x89 | bit, b"x"), 1002, "reserved bit set"));
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        table.push((masked(0x80 | opcode, b"x"), 1002, "reserved opcode"));
    }
    for opcode in [0x08, 0x09, 0x0a] {
        table.push((masked(opcode, b""), 1002, "control frame fragmented"));
        table.push((masked(0x80 | opcode, &[0x03; 126]), 1002, "control frame too long"));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535_u16] {
        table.push((masked(0x88, &code.to_be_bytes()), 1002, "close code not allowed"));
    }
    for text in [&b"\xff"[..], b"a\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", "é€".as_bytes()] {
        match std::str::from_utf8(text) {
            Err(_) => table.push((masked(0x81, text), 1007, "not UTF-8")),
            // Fragments of whole characters, the last of which is cut.
            Ok(_) => table.push(([masked(0x01, &text[..4]), masked(0x80, b"")].concat(), 1007, "not UTF-8")),
        }
    }
    table
}

#[test]
fn violation_closes_with_its_code_however_the_bytes_are_cut() {
    for (bytes, code, reason) in table() {
        for (cuts, later) in [(&[][..], 100_000), (&[1], 1_000), (&[3, 1, 7], 1_000)] {
            let mut connection = Connection::raw();
            connection.client.cut(cuts);
            let before = masked(0x81, b"before");
            assert_eq!(connection.send(&[&before, &bytes[..], b"more bytes"].concat()), None);
            let received = connection.received.take();
            assert_eq!(received[0], Message::Text("before".to_owned()));
            assert!(received.len() <= 2, "a message after the violation: {received:?}");
            assert_eq!(connection.frames(), [Frame::close(code, reason)], "{bytes:02x?}");

            // The server reads on, so that a client that still sends gets the Close frame.
            assert!(connection.client.is_shut());
            assert_eq!((connection.send(&vec![0; later]), connection.client.unread()), (None, 0));
            connection.client.end();
            let closed = connection.run().unwrap();
            assert_eq!(closed.cause, CloseCause::Violation);
            assert_eq!((closed.code.unwrap().as_u16(), closed.clean), (code, false));
        }
    }
}

#[test]
fn invalid_utf8_is_refused_at_its_first_invalid_byte() {
    for (good, bad) in [("κόσμε".as_bytes(), 0xed), (b"", 0xff), (b"\xf4", 0x90), (b"\xed", 0xa0), (b"a\xe2\x82", b'a')]
    {
        let text = [good, &[bad], b"..........."].concat();
        for fragmented in [false, true] {
            let (frames, body) = match fragmented {
                true => (text.iter().flat_map(|&byte| masked(0x00, &[byte])).collect(), 7),
                false => (masked(0x01, &text), 1),
            };
            let mut bytes = if fragmented { masked(0x01, b"") } else { Vec::new() };
            bytes.extend::<Vec<u8>>(frames);
            let head = bytes.len() - text.len() * body;
            let wrong = head + good.len() * body + body - 1;
            let mut connection = Connection::raw();
            // 0xed begins a character, which the next byte makes invalid.
            let wrong = if bad == 0xed { wrong + body } else { wrong };
            assert_eq!(connection.send(&bytes[..wrong]), None);
            assert_eq!(connection.frames(), [], "{text:02x?}");
            assert_eq!(connection.send(&bytes[wrong..=wrong]), None);
            assert_eq!(connection.frames(), [Frame::close(1007, "not UTF-8")], "{text:02x?}");
        }
    }
}

#[test]
fn client_that_ends_its_side_after_a_violation_gets_the_close_code() {
    let mut connection = Connection::raw();
    connection.client.send(b"GET / HTTP/1.1\r\n\r\n");
    connection.client.end();
    let closed = connection.run().unwrap();
    assert_eq!(closed.cause, CloseCause::Violation);
    assert!(matches!(connection.frames()[..], [Frame::Close(1002, _)]));
}

#[test]
fn control_frames_above_the_rate_close_with_1008() {
    let config = WebSocketConfig::default();
    let (burst, pace) = (config.control_rate, Duration::from_secs(1) / config.control_rate);
    for frame in [masked(0x89, b"p"), masked(0x8a, b"")] {
        let mut connection = Connection::raw();
        // A burst of as many as in a second, and then one at a time at the rate.
        for _ in 0..3 {
            assert_eq!(connection.send(&frame.repeat(burst as usize)), None);
            assert_eq!(connection.advance(Duration::from_secs(1)), None);
        }
        assert_eq!(connection.send(&frame.repeat(burst as usize)), None);
        for _ in 0..50 {
            assert_eq!(connection.advance(pace), None);
            assert_eq!(connection.send(&frame), None);
        }
        assert!(connection.frames().iter().all(|frame| matches!(frame, Frame::Pong(_))));
        assert_eq!(connection.advance(pace / 2), None);
        assert_eq!(connection.send(&frame), None);
        assert_eq!(connection.frames(), [Frame::close(1008, "too many control frames")]);
    }
}

#[test]
fn silence_adds_no_credit_to_the_control_rate() {
    let config = WebSocketConfig::default().ping(Duration::MAX);
    let burst = config.control_rate as usize;
    let mut connection = Connection::with(config, Subprotocol::Raw);
    assert_eq!(connection.send(&masked(0x8a, b"")), None);
    assert_eq!(connection.advance(Duration::from_secs(3_600)), None);
    assert_eq!(connection.send(&masked(0x8a, b"").repeat(burst)), None);
    assert_eq!(connection.frames(), []);
    assert_eq!(connection.send(&masked(0x8a, b"")), None);
    assert_eq!(connection.frames(), [Frame::close(1008, "too many control frames")]);
}

#[test]
fn unfinished_message_closes_after_the_message_timeout() {
    let config = WebSocketConfig::default();
    let second = Duration::from_secs(1);
    for first in [&masked(0x81, b"text")[..9], &masked(0x01, b"text")] {
        let mut connection = Connection::with(config.clone(), Subprotocol::Raw);
        assert_eq!(connection.advance(second), None);
        assert_eq!(connection.send(first), None);
        assert_eq!(connection.advance(config.message_timeout - second), None);
        assert_eq!(connection.send(&[]), None);
        assert_eq!(connection.frames(), []);
        assert_eq!(connection.advance(second), None);
        assert_eq!(connection.frames(), [Frame::close(1008, "message not finished in time")]);
    }
}

#[test]
fn message_timeout_restarts_with_each_message() {
    let config = WebSocketConfig::default().ping(Duration::MAX);
    let mut connection = Connection::with(config.clone(), Subprotocol::Raw);
    assert_eq!(connection.send(&masked(0x01, b"begin")), None);
    for _ in 0..4 {
        assert_eq!(connection.advance(config.message_timeout * 9 / 10), None);
        // The end of a message and the beginning of the next in one piece.
        assert_eq!(connection.send(&[masked(0x80, b"end"), masked(0x01, b"begin")].concat()), None);
    }
    assert_eq!(connection.advance(config.message_timeout * 9 / 10), None);
    assert_eq!((connection.received.take().len(), connection.frames()), (4, vec![]));
    assert_eq!(connection.advance(config.message_timeout / 10), None);
    assert_eq!(connection.frames(), [Frame::close(1008, "message not finished in time")]);
}
