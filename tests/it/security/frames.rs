//! Rows 13, 14 and 15: frames with false lengths, without an end, or in floods (RFC 6455 §5, §7.4.1). The answer to
//! each
//! violation, however the bytes are cut, is tested in `websocket::violations`; these tests show it to a server's
//! client.

use std::time::Duration;

use tokio::task::yield_now;

use crate::support::VirtualTimer;
use crate::support::http::{App, Frame, RawClient, To, frame, header, request, serve_http1, upgrade_request};

/// Returns the header of a frame with this length, masked with zeros.
fn header_of(first: u8, length: u64) -> Vec<u8> {
    [&[first, 0x80 | 127][..], &length.to_be_bytes(), &[0; 4]].concat()
}

/// Frames of a client, whether they contain a ping, and the close code and reason.
type Exchange = (Vec<u8>, bool, (u16, &'static str));

fn exchanges() -> Vec<Exchange> {
    let fragment = |first: u8, payload: &[u8]| {
        let mut fragment = frame(first & 0x0f, payload);
        fragment[0] = first;
        fragment
    };
    let pieces = |count: usize| [fragment(0x01, b""), fragment(0x00, b"x").repeat(count)].concat();
    vec![
        // Row 13: sizes.
        (header_of(0x82, i64::MAX as u64), false, (1009, "message too big")),
        (header_of(0x82, 1 << 63), false, (1002, "length not minimal")),
        (header_of(0x82, u64::MAX), false, (1002, "length not minimal")),
        (header_of(0x82, 65_537), false, (1009, "message too big")),
        (header_of(0x81, 1 << 32), false, (1009, "message too big")),
        (header_of(0x82, 125), false, (1002, "length not minimal")),
        (header_of(0x89, 65_536), false, (1002, "control frame too long")),
        (
            [fragment(0x02, &[0; 125]).as_slice(), &fragment(0x00, &[0; 125]).repeat(524)].concat(),
            false,
            (1009, "message too big"),
        ),
        // Row 13: fragments.
        (pieces(1_001), false, (1008, "too many fragments")),
        ([pieces(1_000), fragment(0x80, b"")].concat(), false, (1008, "too many fragments")),
        (fragment(0x01, b"").repeat(2), false, (1002, "message begun inside another")),
        (fragment(0x80, b"x"), false, (1002, "continuation of no message")),
        (fragment(0x09, b"x"), false, (1002, "control frame fragmented")),
        // Row 14: bits and opcodes of extensions that were not negotiated.
        (fragment(0xc1, b"\x2a\x86\x10\x00"), false, (1002, "reserved bit set")),
        (fragment(0xc2, b""), false, (1002, "reserved bit set")),
        (fragment(0xa1, b""), false, (1002, "reserved bit set")),
        (fragment(0x91, b""), false, (1002, "reserved bit set")),
        (fragment(0xc9, b""), false, (1002, "reserved bit set")),
        (fragment(0x83, b""), false, (1002, "reserved opcode")),
        // Row 15: control frames.
        (frame(9, b"p").repeat(11), true, (1008, "too many control frames")),
        (frame(10, b"").repeat(11), false, (1008, "too many control frames")),
        ([frame(9, b"p"), frame(10, b"").repeat(10)].concat(), true, (1008, "too many control frames")),
        // Other bytes that are not a frame of a client.
        (vec![0x81, 0x01, b'x'], false, (1002, "frame not masked")),
        (frame(1, b"\xff"), false, (1007, "not UTF-8")),
        (frame(8, &1005_u16.to_be_bytes()), false, (1002, "close code not allowed")),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), false, (1002, "reserved opcode")),
    ]
}

#[tokio::test]
async fn row_13_14_15_each_violation_has_its_close_code() {
    let app = App::new();
    let endpoint = app.builder().max_fragments(1_000).build();
    let address = serve_http1(&endpoint).await;
    for (number, (bytes, pong, (code, reason))) in exchanges().into_iter().enumerate() {
        let mut client = RawClient::connect(address).await;
        client.send(upgrade_request("/events", "")).await;
        client.head().await;
        client.send(&bytes).await;
        let mut frames = vec![client.frame().await];
        while frames.last().is_some_and(|frame| frame.0 == 0x8a) {
            frames.push(client.frame().await);
        }
        // The rate allows ten pings.
        assert!(frames.len() <= 1 + 10 * usize::from(pong), "exchange {number}: {frames:?}");
        assert_eq!(frames.pop(), Some(Frame::close(code, reason)), "exchange {number}");
        assert!(frames.iter().all(|frame| frame.1 == b"p"), "exchange {number}: {frames:?}");
        assert_eq!(client.until_end().await, "", "nothing follows a Close");
    }
    while endpoint.session_count() + app.hub.stats().subscriptions > 0 {
        yield_now().await;
    }
    assert_eq!(app.messages(), [], "no message was made of any of it");
}

/// Nothing is allocated for a declared length; this one could not be allocated. That memory grows with the received
/// bytes is
/// tested in the crate by `memory_grows_with_what_came_and_not_over_the_limit`.
#[tokio::test]
async fn row_13_declared_length_allocates_nothing() {
    let (app, timer) = (App::new(), VirtualTimer::new());
    let endpoint = app.builder().timer(timer.clone()).max_message(usize::MAX).build();
    tokio::spawn(endpoint.driver());
    let mut client = RawClient::connect(serve_http1(&endpoint).await).await;
    client.send(upgrade_request("/events", "")).await;
    client.head().await;
    let long = [header_of(0x82, i64::MAX as u64), b"only so much".to_vec()].concat();
    client.send([frame(1, b"a message"), long].concat()).await;
    while app.messages().is_empty() {
        yield_now().await;
    }
    app.publish("still here");
    assert_eq!(client.frame().await, Frame::text("still here"));
    // The message timeout applies as to any message.
    timer.advance(Duration::from_secs(11));
    assert_eq!(client.frame().await, Frame::close(1008, "message not finished in time"));

    let post = request("POST", "/events").header("content-length", (1_u64 << 62).to_string());
    assert_eq!(post.with("short", &endpoint).await.status(), 204);
}

/// A message of one byte a fragment ends at its limit, in bytes or in fragments, however much the client sends.
#[tokio::test]
async fn row_13_million_fragments_of_one_byte_end_at_the_limit() {
    for (max_message, expected) in
        [(64 * 1024, Frame::close(1009, "message too big")), (1 << 20, Frame::close(1008, "too many fragments"))]
    {
        let app = App::new();
        let endpoint = app.builder().max_message(max_message).build();
        let address = serve_http1(&endpoint).await;
        let mut healthy = RawClient::connect(address).await;
        healthy.send(upgrade_request("/events", "")).await;
        healthy.head().await;
        let mut client = RawClient::connect(address).await;
        client.send(upgrade_request("/events", "")).await;
        client.head().await;
        let (read, mut write) = client.stream.into_split();
        let mut client = RawClient::over(tokio::io::join(read, tokio::io::sink()));
        let fragment = |first: u8| {
            let mut fragment = frame(first, b"x");
            fragment[0] = first;
            fragment
        };
        let thousand = fragment(0x00).repeat(1_000);
        let send = async {
            let mut sent = tokio::io::AsyncWriteExt::write_all(&mut write, &fragment(0x02)).await;
            for _ in 0..1_000 {
                if sent.is_ok() {
                    sent = tokio::io::AsyncWriteExt::write_all(&mut write, &thousand).await;
                }
            }
            sent.is_ok()
        };
        let (all_sent, close) = tokio::join!(send, client.frame());
        assert_eq!(close, expected);
        assert!(!all_sent, "7 MB were read of a client that had its Close");
        app.publish("still here");
        assert_eq!((healthy.frame().await, app.messages()), (Frame::text("still here"), vec![]));
    }
}

/// RFC 7692 §5: a server may ignore an offer. An offer of an unknown extension changes nothing else.
#[tokio::test]
async fn row_14_no_extension_is_agreed_and_nothing_is_compressed() {
    let app = App::new();
    let endpoint = app.endpoint();
    let address = serve_http1(&endpoint).await;
    for offer in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=8, x-webkit-deflate-frame",
        "bbf-usp-protocol; eid=\"x\"",
        ",,;=",
    ] {
        let mut client = RawClient::connect(address).await;
        client.send(upgrade_request("/events", &format!("Sec-WebSocket-Extensions: {offer}\r\n"))).await;
        let head = client.head().await;
        assert!(head.starts_with("http/1.1 101 ") && !head.contains("sec-websocket-extensions"), "{offer}: {head}");
        app.publish("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        assert_eq!(client.frame().await, Frame::text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), "{offer}");
    }
    for transport in ["short-poll&cursor=0.0", "long-poll&wait=1&cursor=0.0", "chunked", "sse"] {
        let request =
            request("GET", &format!("/?transport={transport}")).header("accept-encoding", "gzip, br, deflate, zstd");
        let response = request.to(&endpoint).await;
        assert_eq!((response.status().as_u16(), header(&response, "content-encoding")), (200, ""), "{transport}");
        assert!(header(&response, "cache-control").contains("no-transform"), "nor by others");
    }
}

/// A client that sends pings and never reads is owed one pong, and loses its connection.
#[tokio::test]
async fn row_15_flood_of_pings_without_reads_ends() {
    let app = App::new();
    let endpoint = app.builder().close_timeout(Duration::from_millis(20)).build();
    let mut client = RawClient::connect(serve_http1(&endpoint).await).await;
    client.send(upgrade_request("/events", "")).await;
    client.head().await;
    let flood = frame(9, &[b'p'; 125]).repeat(1_000);
    // The server closes at the eleventh ping and reads no more.
    while tokio::io::AsyncWriteExt::write_all(&mut client.stream, &flood).await.is_ok() {
        if endpoint.session_count() == 0 {
            break;
        }
        yield_now().await;
    }
    let mut pongs = 0;
    while let Frame(0x8a, payload) = client.frame().await {
        assert_eq!(payload, [b'p'; 125]);
        pongs += 1;
    }
    assert!(pongs <= 11, "{pongs}");
}
