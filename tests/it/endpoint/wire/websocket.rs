use std::time::Duration;

use http::StatusCode;
use tidings::{Message, Transport};
use tokio::task::yield_now;

use crate::support::VirtualTimer;
use crate::support::http::{App, Frame, RawClient, To, frame, get, header, request, serve_http1, upgrade_request};

const KEY: (&str, &str) = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
const VERSION: (&str, &str) = ("sec-websocket-version", "13");
const UPGRADE: (&str, &str) = ("upgrade", "websocket");
const CONNECTION: (&str, &str) = ("connection", "Upgrade");

#[tokio::test]
async fn malformed_handshake_is_refused_with_its_status() {
    let app = App::new();
    let endpoint = app.endpoint();
    let (bad, upgrade, forbidden) = (StatusCode::BAD_REQUEST, StatusCode::UPGRADE_REQUIRED, StatusCode::FORBIDDEN);
    for (headers, expected) in [
        (&[UPGRADE, KEY, VERSION][..], bad),
        (&[UPGRADE, ("connection", "keep-alive"), KEY, VERSION], bad),
        (&[CONNECTION, KEY, VERSION], upgrade),
        (&[("upgrade", "h2c"), CONNECTION, KEY, VERSION], upgrade),
        (&[("upgrade", "websockets"), CONNECTION, KEY, VERSION], upgrade),
        (&[UPGRADE, CONNECTION, VERSION], bad),
        (&[UPGRADE, CONNECTION, KEY, KEY, VERSION], bad),
        (&[UPGRADE, CONNECTION, ("sec-websocket-key", "AAAA"), VERSION], bad),
        (&[UPGRADE, CONNECTION, ("sec-websocket-key", "!!!!"), VERSION], bad),
        (&[UPGRADE, CONNECTION, ("sec-websocket-key", ""), VERSION], bad),
        (&[UPGRADE, CONNECTION, ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZTE3"), VERSION], bad),
        (&[UPGRADE, CONNECTION, KEY], upgrade),
        (&[UPGRADE, CONNECTION, KEY, ("sec-websocket-version", "8")], upgrade),
        (&[UPGRADE, CONNECTION, KEY, ("sec-websocket-version", "13, 8")], upgrade),
        (&[UPGRADE, CONNECTION, KEY, VERSION, VERSION], upgrade),
        (&[UPGRADE, CONNECTION, KEY, VERSION, ("sec-websocket-protocol", "mqtt")], bad),
        (&[UPGRADE, CONNECTION, KEY, VERSION, ("sec-websocket-protocol", "mqtt, tidings.v2")], bad),
        (&[UPGRADE, CONNECTION, KEY, VERSION, ("content-length", "5")], bad),
        (&[UPGRADE, CONNECTION, KEY, VERSION, ("transfer-encoding", "chunked")], bad),
        (&[UPGRADE, CONNECTION, KEY, VERSION, ("origin", "https://evil.example")], forbidden),
        (&[UPGRADE, CONNECTION, KEY, VERSION, ("origin", "null")], forbidden),
    ] {
        let mut request = get("/events");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.to(&endpoint).await;
        assert_eq!(response.status(), expected, "{headers:?}");
        let reported = (header(&response, "upgrade"), header(&response, "sec-websocket-version"));
        assert_eq!(reported, if expected == upgrade { ("websocket", "13") } else { ("", "") }, "{headers:?}");
    }
    let mut hostless = request("GET", "/events");
    hostless.headers_mut().unwrap().remove("host");
    for (name, value) in [UPGRADE, CONNECTION, KEY, VERSION] {
        hostless = hostless.header(name, value);
    }
    assert_eq!(hostless.to(&endpoint).await.status(), bad);
    assert_eq!((app.subscribes(), endpoint.session_count()), (0, 0));
}

#[tokio::test]
async fn handshake_without_subprotocol_opens_raw_frames() {
    let app = App::new();
    let endpoint = app.endpoint();
    let mut client = RawClient::connect(serve_http1(&endpoint).await).await;
    client
        .send(upgrade_request(
            "/events",
            "Sec-WebSocket-Extensions: permessage-deflate\r\nOrigin: https://example.com\r\n",
        ))
        .await;
    let head = client.head().await;
    assert!(head.starts_with("http/1.1 101 switching protocols\r\n"), "{head}");
    assert!(head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
    for absent in ["sec-websocket-protocol", "sec-websocket-extensions", "content-type", "content-length"] {
        assert!(!head.contains(&format!("\r\n{absent}:")), "{head}");
    }
    assert_eq!(endpoint.stats().sessions_of(Transport::WebSocket), 1);
    app.publish("one");
    assert_eq!(client.frame().await, Frame::text("one"));
    client.send(frame(2, b"bytes")).await;
    client.send(frame(8, &1000_u16.to_be_bytes())).await;
    assert_eq!(client.frame().await, Frame::close(1000, ""));
    assert_eq!(client.until_end().await, "");
    assert_eq!(app.messages(), [Message::Binary("bytes".into())]);
    while endpoint.session_count() + app.hub.stats().subscriptions > 0 {
        yield_now().await;
    }
}

#[tokio::test]
async fn tidings_v1_resumes_and_sends_bye() {
    let app = App::new();
    let endpoint = app.builder().retry(Duration::from_secs(2)..=Duration::from_secs(2)).build();
    let first = app.publish("one");
    let second = app.publish("two");
    let mut client = RawClient::connect(serve_http1(&endpoint).await).await;
    let protocols = "Sec-WebSocket-Protocol: other\r\nSec-WebSocket-Protocol: x,tidings.v1\r\n";
    client.send(upgrade_request(&format!("/events?cursor={first}"), protocols)).await;
    assert!(client.head().await.contains("\r\nsec-websocket-protocol: tidings.v1\r\n"));
    let hello = format!(r#"{{"tidings":"hello","cursor":"{first}","heartbeat_ms":25000}}"#);
    assert_eq!(client.frame().await, Frame::text(&hello));
    let object = format!(r#"{{"id":"{second}","topic":"news","data":"two"}}"#);
    assert_eq!(client.frame().await, Frame::text(&object));
    let drain = tokio::spawn(endpoint.drain());
    assert_eq!(client.frame().await, Frame::text(r#"{"tidings":"bye","retry_ms":2000}"#));
    assert_eq!(client.frame().await, Frame::close(1012, "restart"));
    assert!(!drain.is_finished());
    client.send(frame(8, &1012_u16.to_be_bytes())).await;
    assert_eq!(client.until_end().await, "");
    drain.await.unwrap();
    assert_eq!(endpoint.session_count(), 0);
}

#[tokio::test]
async fn rejected_handshake_gets_a_status_and_no_websocket() {
    let app = App::new();
    let endpoint = app.endpoint();
    let address = serve_http1(&endpoint).await;
    for (target, expected) in [
        ("/forbidden", "403 forbidden"),
        ("/unauthorized", "401 unauthorized"),
        ("/absent", "404 not found"),
        ("/busy", "503 service unavailable"),
        ("/panic", "500 internal server error"),
    ] {
        let mut client = RawClient::connect(address).await;
        client.send(upgrade_request(target, "")).await;
        let head = client.head().await;
        assert!(head.starts_with(&format!("http/1.1 {expected}\r\n")), "{target}: {head}");
    }
    drop(endpoint.drain());
    let mut client = RawClient::connect(address).await;
    client.send(upgrade_request("/events", "")).await;
    let head = client.head().await;
    assert!(head.starts_with("http/1.1 503 ") && head.contains("\r\nretry-after: "), "{head}");
}

#[tokio::test]
async fn closing_rejection_or_panic_closes_its_own_socket_only() {
    let app = App::new();
    let endpoint = app.endpoint();
    let address = serve_http1(&endpoint).await;
    let mut healthy = RawClient::connect(address).await;
    healthy.send(upgrade_request("/events", "")).await;
    healthy.head().await;
    // The application accepts the clients and rejects their messages.
    for (topic, expected) in [
        ("panic", Frame::close(1011, "internal error")),
        ("forbidden", Frame::close(1008, "forbidden")),
        ("unauthorized", Frame::close(1008, "unauthorized")),
        ("busy", Frame::close(1013, "busy, retry after 2500 ms")),
        ("broken", Frame::close(1011, "internal error")),
    ] {
        let mut client = RawClient::connect(address).await;
        client.send(upgrade_request(&format!("/events?say={topic}&closing"), "")).await;
        client.head().await;
        client.send(frame(1, b"hello")).await;
        assert_eq!(client.frame().await, expected, "{topic}");
    }
    app.publish("one");
    assert_eq!(healthy.frame().await, Frame::text("one"));
}

#[tokio::test]
async fn subscriber_panic_ends_its_own_websocket() {
    let endpoint = tidings::Endpoint::new(|_| async {
        struct Panics;

        impl tidings::Subscriber for Panics {
            fn poll_next(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<tidings::subscriber::Delivery> {
                panic!("in a subscriber")
            }
        }

        Ok::<_, tidings::Rejection>(Panics)
    });
    let mut client = RawClient::connect(serve_http1(&endpoint).await).await;
    client.send(upgrade_request("/events", "")).await;
    client.head().await;
    assert_eq!(client.until_end().await, "");
    assert_eq!(endpoint.session_count(), 0);
}

#[tokio::test]
async fn message_above_max_message_closes_with_1009() {
    let app = App::new();
    let endpoint = app.builder().max_message(5).build();
    let mut client = RawClient::connect(serve_http1(&endpoint).await).await;
    client.send(upgrade_request("/events", "")).await;
    client.head().await;
    client.send(frame(1, b"five!")).await;
    client.send(frame(1, b"sixsix")).await;
    assert_eq!(client.frame().await, Frame::close(1009, "message too big"));
    assert_eq!(app.messages(), [Message::Text("five!".into())]);
}

#[tokio::test]
async fn client_that_does_not_answer_a_close_is_cut_at_drain_timeout() {
    let (app, timer) = (App::new(), VirtualTimer::new());
    let endpoint = app.builder().timer(timer.clone()).drain_timeout(Duration::from_secs(1)).build();
    tokio::spawn(endpoint.driver());
    let mut client = RawClient::connect(serve_http1(&endpoint).await).await;
    client.send(upgrade_request("/events", "")).await;
    client.head().await;
    let drain = tokio::spawn(endpoint.drain());
    yield_now().await;
    timer.advance(Duration::from_millis(10));
    assert_eq!(client.frame().await, Frame::close(1012, "restart"));
    timer.advance(Duration::from_millis(1_000));
    drain.await.unwrap();
    assert_eq!((client.until_end().await.as_str(), endpoint.session_count()), ("", 0));
}
