//! Row 25: bytes after a handshake belong to the connection, once and in order; an ambiguous handshake is refused.

use tidings::Message;
use tokio::task::yield_now;

use crate::support::http::{App, Frame, RawClient, frame, serve_http1, upgrade_request};

#[tokio::test]
async fn row_25_frames_in_the_handshakes_packet_are_read_once_and_in_order() {
    let app = App::new();
    let address = serve_http1(&app.endpoint()).await;
    let texts: Vec<_> = (0..40).map(|number| format!("message {number}")).collect();
    let packet = texts
        .iter()
        .fold(upgrade_request("/events", "").into_bytes(), |packet, text| [packet, frame(1, text.as_bytes())].concat());
    let packet = [packet, frame(9, b"ping"), frame(8, &1000_u16.to_be_bytes())].concat();
    let head = upgrade_request("/events", "").len();
    // Cut at any position: inside the head, at its end, inside the first frames.
    for cut in [1, head - 3, head - 1, head, head + 1, head + 5, head + 30, packet.len()] {
        let before = app.messages().len();
        let mut client = RawClient::connect(address).await;
        for part in [&packet[..cut], &packet[cut..]] {
            client.send(part).await;
            yield_now().await;
        }
        assert!(client.head().await.starts_with("http/1.1 101 "));
        assert_eq!(client.frame().await, Frame(0x8a, b"ping".to_vec()));
        assert_eq!(client.frame().await, Frame::close(1000, ""));
        assert_eq!(client.until_end().await, "");
        let expected: Vec<_> = texts.iter().map(|text| Message::Text(text.clone())).collect();
        assert_eq!(app.messages()[before..], expected, "cut at {cut}");
    }
}

/// A front end that sees no upgrade in a request with a body would take the frames for the body, or for requests.
#[tokio::test]
async fn row_25_handshake_with_a_body_is_refused() {
    let app = App::new();
    let endpoint = app.endpoint();
    let address = serve_http1(&endpoint).await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    for (extra, body) in [
        ("Content-Length: 5\r\n", "hello".to_owned()),
        ("Content-Length: 34\r\n", smuggled.to_owned()),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n".to_owned()),
        ("Transfer-Encoding: chunked\r\n", format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len())),
    ] {
        let mut client = RawClient::connect(address).await;
        // The bytes that follow are a request of its own, and the responses come in order.
        let next = "GET /absent HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        client.send(upgrade_request("/events", extra) + &body + next).await;
        let head = client.head().await;
        assert!(head.starts_with("http/1.1 400 ") && !head.contains("upgrade:"), "{extra}: {head}");
        assert_eq!(client.until("}").await, r#"{"error":"a WebSocket handshake must have no body"}"#);
        let rest = client.until_end().await;
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 404 "), "{extra}: {rest}");
        assert!(!rest.contains("smuggled") && rest.matches("HTTP/1.1").count() <= 1, "{rest}");
    }
    assert!(app.subscribes() <= 4, "only /absent was requested");
    assert_eq!((app.messages().len(), endpoint.session_count()), (0, 0));
}

#[tokio::test]
async fn row_25_only_http_1_1_upgrades() {
    let app = App::new();
    let address = serve_http1(&app.endpoint()).await;
    let mut client = RawClient::connect(address).await;
    client.send(upgrade_request("/events", "").replace("HTTP/1.1", "HTTP/1.0")).await;
    let head = client.head().await;
    assert!(head.starts_with("http/1.0 426 ") || head.starts_with("http/1.1 426 "), "{head}");
    assert!(head.contains("\r\nupgrade: websocket\r\n"), "RFC 9110 §15.5.22: {head}");
    // The 101 is sent before the next bytes are read, and names no protocol that was not requested.
    let mut client = RawClient::connect(address).await;
    client.send(upgrade_request("/events", "Upgrade: h2c\r\n")).await;
    let head = client.head().await;
    assert!(head.starts_with("http/1.1 101 ") && head.contains("\r\nupgrade: websocket\r\n"), "{head}");
    assert!(!head.contains("h2c"), "{head}");
}
