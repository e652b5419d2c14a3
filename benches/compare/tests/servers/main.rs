//! Every server that is compared with tidings, on every transport: no message is lost, duplicated or out of order, for
//! every
//! kind of publish and for late readers. A server that lost messages would seem cheap.

mod client;
mod server;

use client::{Client, Found, found, unchunk};
use server::Server;

const KINDS: [&str; 4] = ["floor", "floor-batch", "axum", "tuned"];

const WEBSOCKET: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const SSE: &str = "accept: text/event-stream\r\n";
const LINES: &str = "accept: application/x-ndjson\r\n";
const WIRES: [&str; 3] = [WEBSOCKET, SSE, LINES];

#[test]
fn each_wire_has_its_framing() {
    for kind in KINDS {
        let server = Server::start(kind);
        let mut listeners = WIRES.map(|headers| server.listen("/events?topic=a", headers));
        let mut publisher = server.connect();
        for payload in ["one", "t\"wo", &"3".repeat(300)] {
            publisher.publish("a", payload);
        }
        let three = "3".repeat(300);
        let frames = [b"\x81\x03one\x81\x04t\"wo\x81\x7e\x01\x2c", three.as_bytes()].concat();
        assert_eq!(listeners[0].read_to(frames.len(), |body| body.to_vec()), frames, "{kind}");
        let blocks = format!("data: one\nid: 1\n\ndata: t\"wo\nid: 2\n\ndata: {three}\nid: 3\n\n");
        assert_eq!(listeners[1].read_to(blocks.len(), unchunk), blocks.as_bytes(), "{kind}");
        let line = |id: u8, data: &str| format!("{{\"id\":\"{id}\",\"topic\":\"a\",\"data\":\"{data}\"}}\n");
        let lines = line(1, "one") + &line(2, "t\\\"wo") + &line(3, &three);
        assert_eq!(listeners[2].read_to(lines.len(), unchunk), lines.as_bytes(), "{kind}");
    }
}

#[test]
fn the_handshake_is_answered_as_rfc_6455_says() {
    for kind in KINDS {
        let server = Server::start(kind);
        let mut client = server.connect();
        client.send(&format!("GET /events?topic=a HTTP/1.1\r\nhost: a\r\n{WEBSOCKET}\r\n"));
        let head = client.read_head().to_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{kind}: {head}");
        assert!(head.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{kind}: {head}");
        // A masked ping, and a masked Close: the pong has the same bytes, the Close ends the connection.
        client.send_bytes(&[0x89, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2]);
        assert_eq!(client.read_to(4, |body| body.to_vec()), b"\x8a\x02hi", "{kind}");
        client.send_bytes(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);
        assert_eq!(client.read_to_end(), b"\x8a\x02hi\x88\x02\x03\xe8", "{kind}");
    }
}

#[test]
fn everyone_gets_everything_in_order_by_every_way_in() {
    for kind in KINDS {
        let server = Server::start(kind);
        let topics = |listener: usize| ["topic=a", "topic=b", "topic=a&topic=b"][listener % 3];
        let mut listeners: Vec<_> =
            (0..12).map(|index| server.listen(&format!("/events?{}", topics(index)), WIRES[index / 4])).collect();
        let mut publisher = server.connect();
        // One by one, pipelined, and as lines: 100 messages each, alternating between two topics.
        for number in 0..100 {
            publisher.publish(topic(number), &payload(number, 128));
        }
        let pipelined: String = (100..200).map(|number| Client::post(topic(number), &payload(number, 128))).collect();
        publisher.send(&pipelined);
        (100..200).for_each(|_| drop(publisher.read_answer()));
        let line = |number| format!("{{\"topic\":\"{}\",\"data\":\"{}\"}}\n", topic(number), payload(number, 128));
        let lines: String = (200..300).map(line).collect();
        publisher.send(&Client::request("POST /publish", "content-type: text/plain\r\n", &lines));
        publisher.read_answer();

        for (index, listener) in listeners.iter_mut().enumerate() {
            let expected: Found =
                (0..300).filter(|&number| topics(index).contains(&format!("={}", topic(number)))).collect();
            let got = listener.read_until(|body| found(body).len() == expected.len());
            // There is no order between topics.
            let of_topic = |all: &Found, parity| all.iter().copied().filter(|it| it % 2 == parity).collect::<Found>();
            for parity in [0, 1] {
                assert_eq!(of_topic(&found(&got), parity), of_topic(&expected, parity), "{kind}: listener {index}");
            }
        }
    }
}

#[test]
fn who_reads_late_loses_nothing() {
    const MESSAGES: u32 = 400;
    // More than the kernel buffers for a socket.
    const SIZE: usize = 60_000;
    for kind in KINDS {
        let server = Server::start(kind);
        let mut listeners = WIRES.map(|headers| server.listen("/events?topic=a", headers));
        let mut publisher = server.connect();
        for number in 0..MESSAGES {
            publisher.publish("a", &payload(number, SIZE));
        }
        for listener in &mut listeners {
            let numbers = listener.count_numbers(MESSAGES as usize);
            assert!(numbers.iter().copied().eq(0..MESSAGES), "{kind}: {numbers:?}");
        }
    }
}

#[test]
fn polls_that_resume_lose_nothing() {
    for kind in KINDS {
        let server = Server::start(kind);
        let mut poller = server.connect();
        poller.send(&Client::request("GET /events?topic=a", "", ""));
        let (mut cursor, none) = client::events(&poller.read_answer());
        assert!(none.is_empty(), "{kind}");
        let mut publisher = server.connect();
        let publishing = std::thread::spawn(move || {
            (0..300).for_each(|number| publisher.publish("a", &payload(number, 128)));
        });
        let mut got = Found::new();
        let mut several = false;
        while got.len() < 300 {
            // The servers handle two topics in other code than one.
            several = !several;
            let topics = if several { "topic=a&topic=b" } else { "topic=a" };
            let target = format!("GET /events?{topics}&cursor={cursor}");
            poller.send(&Client::request(&target, "prefer: wait=20\r\n", ""));
            let events;
            (cursor, events) = client::events(&poller.read_answer());
            assert!(!events.is_empty(), "{kind}: {cursor}");
            got.extend(events);
        }
        publishing.join().expect("everything is published");
        assert!(got.iter().copied().eq(0..300), "{kind}: {got:?}");
    }
}

#[test]
fn a_poll_that_nothing_comes_for_is_answered_when_it_said() {
    let polls = KINDS.map(|kind| {
        let server = Server::start(kind);
        server.connect().publish("a", &payload(0, 128));
        let mut poller = server.connect();
        poller.send(&Client::request("GET /events?topic=a", "prefer: wait=1\r\n", ""));
        (server, poller)
    });
    for (server, mut poller) in polls {
        assert_eq!(client::events(&poller.read_answer()), ("1".to_owned(), Found::new()), "{server:?}");
    }
}

#[test]
fn requests_may_come_in_pieces() {
    for kind in KINDS {
        let server = Server::start(kind);
        let mut listener = server.listen("/events?topic=a", SSE);
        let mut publisher = server.connect();
        let posts: String = (0..3).map(|number| Client::post("a", &payload(number, 128))).collect();
        for piece in posts.as_bytes().chunks(7) {
            publisher.send_bytes(piece);
        }
        (0..3).for_each(|_| drop(publisher.read_answer()));
        let got = listener.read_until(|body| found(body).len() == 3);
        assert_eq!(found(&got), [0, 1, 2], "{kind}");
    }
}

fn topic(number: u32) -> &'static str {
    if number % 2 == 0 { "a" } else { "b" }
}

/// Returns a message of this number and length.
fn payload(number: u32, size: usize) -> String {
    format!("{:.<size$}", format!("#{number:08}@"))
}
