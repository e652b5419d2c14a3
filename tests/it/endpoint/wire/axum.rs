use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::get;
use http::Response;
use tidings::{Body, Endpoint, LocalHub, Rejection, SubscribeRequest};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::http::{App, Frame, RawClient, frame};

async fn mine(
    State((endpoint, hub)): State<(Endpoint, LocalHub)>,
    wanted: SubscribeRequest,
    request: Request,
) -> Result<Response<Body>, Rejection> {
    if wanted.query("user").is_none() {
        return Err(Rejection::Unauthorized);
    }
    let subscription = hub.subscribe(wanted.subscribe_to(["mine"]))?;
    Ok(endpoint.respond(request, subscription).await)
}

/// Serves an axum application that shuts down gracefully when the sender fires.
async fn serve(app: &App, endpoint: &Endpoint) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let router = Router::new()
        .route("/mine", get(mine))
        .with_state((endpoint.clone(), app.hub.clone()))
        .route_service("/events", endpoint.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, (stop, stopped)) = (listener.local_addr().unwrap(), oneshot::channel());
    let shutdown = endpoint.drain_on(stopped);
    let server = tokio::spawn(async move {
        axum::serve(listener, router).with_graceful_shutdown(shutdown).await.unwrap();
    });
    (address, stop, server)
}

#[tokio::test]
async fn endpoint_serves_as_a_route_and_in_a_handler() {
    let app = App::new();
    let (address, _stop, _server) = serve(&app, &app.endpoint()).await;
    for (target, topic) in [("/events", "news"), ("/mine?user=me", "mine")] {
        let mut client = RawClient::connect(address).await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n")).await;
        assert!(client.head().await.contains("\r\ncontent-type: text/event-stream\r\n"));
        client.until("\n\n").await;
        app.hub.publish_now(tidings::Topic::new(topic).unwrap(), topic).unwrap();
        assert!(client.until("\n\n").await.contains(&format!("data: {topic}\n")));
    }
}

#[tokio::test]
async fn handler_extracts_the_subscribe_request_and_may_reject_it() {
    let app = App::new();
    let (address, _stop, _server) = serve(&app, &app.endpoint()).await;
    let mine = tidings::Topic::new("mine").unwrap();
    let first = app.hub.publish_now(&mine, "one").unwrap().cursor().unwrap();
    app.hub.publish_now(&mine, "two").unwrap();
    let mut client = RawClient::connect(address).await;
    client.send(format!("GET /mine?user=me HTTP/1.1\r\nHost: h\r\nIf-None-Match: \"{first}\"\r\n\r\n")).await;
    client.head().await;
    let reply = client.until("]}").await;
    assert!(reply.contains("two") && !reply.contains("one"), "{reply}");
    for (target, status, error) in [
        ("/mine", "401 unauthorized", "unauthorized"),
        ("/mine?user=me&topic=", "400 bad request", "topic name is empty"),
        (
            "/mine?user=me&transport=pigeon",
            "400 bad request",
            "unknown transport: use short-poll, long-poll, chunked, sse or websocket",
        ),
    ] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
        let head = client.head().await;
        assert!(head.starts_with(&format!("http/1.1 {status}\r\n")), "{target}: {head}");
        assert!(head.contains("\r\ncache-control: no-store, no-transform\r\n"), "{target}: {head}");
        assert_eq!(client.until("}").await, format!(r#"{{"error":"{error}"}}"#));
    }
}

#[tokio::test]
async fn axum_server_shuts_down_while_every_transport_is_open() {
    let app = App::new();
    let endpoint = app.endpoint();
    let (address, stop, server) = serve(&app, &endpoint).await;
    let mut clients = Vec::new();
    for headers in ["Accept: text/event-stream", "Accept: application/x-ndjson", "Prefer: wait=50"] {
        let mut client = RawClient::connect(address).await;
        let cursor = app.hub.cursor();
        client.send(format!("GET /events?cursor={cursor} HTTP/1.1\r\nHost: h\r\n{headers}\r\n\r\n")).await;
        clients.push(client);
    }
    let mut socket = RawClient::connect(address).await;
    socket
        .send(
            "GET /events HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .await;
    socket.head().await;
    while endpoint.session_count() < 4 {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    assert_eq!(socket.frame().await, Frame::close(1012, "restart"));
    socket.send(frame(8, &1012_u16.to_be_bytes())).await;
    for client in &mut clients {
        client.until_end().await;
    }
    server.await.unwrap();
    assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
}

#[tokio::test]
async fn response_without_a_body_has_no_length() {
    let app = App::new();
    let (address, _stop, _server) = serve(&app, &app.endpoint()).await;
    let cursor = app.publish("one");
    for (method, target, status) in [
        ("HEAD", "/events?transport=sse", "200 ok"),
        ("HEAD", "/mine?user=me&transport=sse", "200 ok"),
        ("HEAD", "/events", "200 ok"),
        ("OPTIONS", "/events", "204 no content"),
        ("GET", "/events", "304 not modified"),
    ] {
        let mut client = RawClient::connect(address).await;
        client.send(format!("{method} {target} HTTP/1.1\r\nHost: h\r\nIf-None-Match: \"{cursor}\"\r\n\r\n")).await;
        let head = client.head().await;
        assert!(head.starts_with(&format!("http/1.1 {status}\r\n")), "{head}");
        // RFC 9110 §8.6: a length here would be that of the GET's 200.
        assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{method} {target} {head}");
    }
}

#[tokio::test]
async fn publish_error_converts_to_a_response_with_status_and_text() {
    use axum::response::IntoResponse;
    use tidings::{Event, PublishError};

    let hub = LocalHub::builder().max_event(100).max_topics(1).build();
    let publish = |name: &str, text: &str| hub.publish_now(name, Event::text(text.to_owned()));
    let large = "x".repeat(101);
    let errors = [
        (publish("a//b", "x").unwrap_err(), 400, None),
        (publish("news", &large).unwrap_err(), 413, None),
        (hub.publish_batch([("a", "x"), ("b", "x")]).unwrap_err(), 507, None),
        (PublishError::Unavailable("no server".into()), 503, Some("5")),
        (PublishError::OutcomeUnknown("connection lost".into()), 504, None),
    ];
    hub.close();
    for (error, status, retry) in errors.into_iter().chain([(publish("news", "x").unwrap_err(), 503, Some("5"))]) {
        let text = error.to_string();
        let response = error.into_response();
        assert_eq!(response.status().as_u16(), status, "{text}");
        assert_eq!(response.headers().get("retry-after").map(|value| value.to_str().unwrap()), retry, "{text}");
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap(), serde_json::json!({ "error": text }));
    }
}
