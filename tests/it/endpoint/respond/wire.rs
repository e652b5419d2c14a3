//! Streams that answer a POST over HTTP/1.0, HTTP/1.1 and HTTP/2, by axum and by hyper alone.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{Json, Path, State};
use axum::routing::{any, post};
use axum::{Form, Router};
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::ext::Protocol;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tidings::Body;
use tidings::endpoint::RefusalResponse;
use tokio::net::{TcpListener, TcpStream};

use super::support::Desk;
use crate::support::http::{Frame, RawClient, connect_http2, frame, serve_router, upgrade_request};

type Answer = Result<Response<Body>, RefusalResponse>;

async fn ask(State(desk): State<Desk>, parts: Parts, Json(question): Json<Value>) -> Answer {
    assert!(question.is_object());
    desk.ask(parts).await
}

async fn ask_by_form(State(desk): State<Desk>, parts: Parts, Form(question): Form<Vec<(String, String)>>) -> Answer {
    assert_eq!(question[0].0, "text");
    desk.ask(parts).await
}

async fn room(State(desk): State<Desk>, Path(room): Path<String>, parts: Parts) -> Answer {
    assert_eq!(room, "7");
    desk.ask(parts).await
}

/// Serves axum handlers that answer by `respond`.
pub(super) async fn serve_axum(desk: &Desk) -> SocketAddr {
    let router = Router::new()
        .route("/ask", post(ask).options_service(desk.events.clone()))
        .route("/form", post(ask_by_form))
        .route("/rooms/{room}", any(room))
        .with_state(desk.clone());
    serve_router(router, |server| server).await
}

/// Serves hyper alone, over HTTP/1 and HTTP/2. The path `/unread` leaves the body of the request unread.
async fn serve_hyper(desk: &Desk) -> SocketAddr {
    let (listener, desk) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), desk.clone());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let desk = desk.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let desk = desk.clone();
                async move { Ok::<_, Infallible>(answer(&desk, request).await) }
            });
            tokio::spawn(async move {
                let mut server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                server.http2().enable_connect_protocol();
                let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

async fn answer(desk: &Desk, request: Request<Incoming>) -> Response<Body> {
    if request.uri().path() == "/unread" {
        // The request itself, whose body is dropped.
        let (parts, body) = request.into_parts();
        let subscription = desk.subscribe(&parts).unwrap();
        return desk.events.respond(Request::from_parts(parts, body), subscription).await;
    }
    let (parts, body) = request.into_parts();
    if let Err(refusal) = desk.events.check(&parts) {
        return refusal.into();
    }
    body.collect().await.unwrap();
    desk.ask(parts).await.unwrap_or_else(Response::from)
}

/// Connects over HTTP/2 with prior knowledge.
async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (client, connection) =
        hyper::client::conn::http2::Builder::new(TokioExecutor::new()).handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn next(body: &mut Incoming) -> String {
    String::from_utf8(body.frame().await.unwrap().unwrap().into_data().unwrap().to_vec()).unwrap()
}

const QUESTION: &str = r#"{"text":"why?"}"#;

/// Returns a POST of JSON over HTTP/1.
fn json(version: &str, target: &str, extra: &str) -> String {
    format!(
        "POST {target} HTTP/{version}\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{extra}\r\n{QUESTION}",
        QUESTION.len()
    )
}

#[tokio::test]
async fn post_over_http_1_is_answered_with_a_stream_that_a_drain_ends() {
    for version in ["1.0", "1.1"] {
        for accept in ["text/event-stream", "application/x-ndjson"] {
            for by_axum in [true, false] {
                let desk = Desk::new();
                let address = if by_axum { serve_axum(&desk).await } else { serve_hyper(&desk).await };
                let mut client = RawClient::connect(address).await;
                client.send(json(version, "/ask", &format!("Accept: {accept}\r\nConnection: keep-alive\r\n"))).await;
                let head = client.head().await;
                assert!(head.starts_with(&format!("http/{version} 200 ok\r\n")), "{head}");
                assert!(head.contains(&format!("\r\ncontent-type: {accept}\r\n")), "{head}");
                assert_eq!(head.contains("\r\ntransfer-encoding: chunked\r\n"), version == "1.1", "{head}");
                assert_eq!(head.contains("\r\nconnection: close\r\n"), version == "1.0", "{head}");
                client.until("\n").await;
                desk.publish("because");
                client.until("because").await;
                assert_eq!((desk.actions(), desk.open()), (1, (1, 1)));
                desk.events.drain().await;
                let rest = client.until_end().await;
                assert!(rest.contains("tidings.retry") || rest.contains("\"bye\""), "{rest}");
                assert!(!rest.ends_with("0\r\n\r\n"), "{rest}");
            }
        }
    }
}

#[tokio::test]
async fn post_over_http_2_is_answered_with_a_stream_that_ends_with_its_reader() {
    for by_axum in [true, false] {
        let desk = Desk::new();
        let address = if by_axum { serve_axum(&desk).await } else { serve_hyper(&desk).await };
        let mut client = connect(address).await;
        let post = Request::post("http://localhost/ask").header("content-type", "application/json");
        let response = client.send_request(post.body(Full::from(QUESTION)).unwrap()).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut body = response.into_body();
        assert!(next(&mut body).await.contains("event: tidings.hello\n"));
        desk.publish("because");
        assert!(next(&mut body).await.contains("data: because\n"));
        assert_eq!((desk.actions(), desk.open()), (1, (1, 1)));
        drop(body);
        while desk.open() != (0, 0) {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn foreign_post_is_refused_over_each_version_before_the_handler_acts() {
    let desk = Desk::new();
    for address in [serve_axum(&desk).await, serve_hyper(&desk).await] {
        for version in ["1.0", "1.1"] {
            let mut client = RawClient::connect(address).await;
            client.send(json(version, "/ask", "Origin: https://evil.example\r\nCookie: user=1\r\n")).await;
            assert!(client.head().await.starts_with(&format!("http/{version} 403 forbidden\r\n")));
            assert!(client.until("}").await.contains("https://evil.example"));
        }
        let mut client = connect(address).await;
        let post = Request::post("http://localhost/ask").header("content-type", "application/json");
        let post = post.header("sec-fetch-site", "cross-site").body(Full::from(QUESTION)).unwrap();
        assert_eq!(client.send_request(post).await.unwrap().status(), StatusCode::FORBIDDEN);
    }
    assert_eq!((desk.actions(), desk.open(), desk.events.stats().refused_origin), (0, (0, 0), 6));
}

#[tokio::test]
async fn stream_is_sent_although_the_body_of_the_request_is_not_read() {
    let desk = Desk::new();
    let address = serve_hyper(&desk).await;
    // The client has sent a part of its body only.
    let mut client = RawClient::connect(address).await;
    client.send("POST /unread HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nbegin").await;
    client.until("tidings.hello").await;
    desk.publish("because");
    client.until("because").await;
    // It then sends more than all buffers hold, and still reads.
    let mut other = connect(address).await;
    let post = Request::post("http://localhost/unread").body(Full::from(vec![b'x'; 1 << 20])).unwrap();
    let mut body = other.send_request(post).await.unwrap().into_body();
    next(&mut body).await;
    desk.publish("again");
    assert!(next(&mut body).await.contains("again"));
    client.until("again").await;
}

#[tokio::test]
async fn handler_with_parts_answers_each_transport_of_a_get() {
    let desk = Desk::new();
    for address in [serve_axum(&desk).await, serve_hyper(&desk).await] {
        for (query, kind) in [
            ("transport=sse", "text/event-stream"),
            ("transport=chunked", "application/x-ndjson"),
            ("transport=short-poll", "application/json"),
            ("wait=5", "application/json"),
        ] {
            let (mut client, cursor) = (RawClient::connect(address).await, desk.hub.cursor());
            client.send(format!("GET /rooms/7?{query}&cursor={cursor} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
            if query == "wait=5" {
                while desk.events.session_count() == 0 {
                    tokio::task::yield_now().await;
                }
                desk.publish("held");
            }
            assert!(client.head().await.contains(&format!("\r\ncontent-type: {kind}\r\n")), "{query}");
            drop(client);
            while desk.open() != (0, 0) {
                tokio::task::yield_now().await;
            }
        }
    }
}

#[tokio::test]
async fn handler_with_parts_upgrades_a_get_and_a_connect_to_a_websocket() {
    let desk = Desk::new();
    for address in [serve_axum(&desk).await, serve_hyper(&desk).await] {
        let mut client = RawClient::connect(address).await;
        client.send(upgrade_request("/rooms/7", "").replace("Host: example.com", "Host: localhost")).await;
        assert!(client.head().await.starts_with("http/1.1 101 "));
        let mut other = connect_http2(address).await;
        let request = Request::connect("http://localhost/rooms/7").extension(Protocol::from_static("websocket"));
        let request = request.header("sec-websocket-version", "13").body(http_body_util::Empty::new()).unwrap();
        let response = other.send_request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let mut socket = RawClient::over(TokioIo::new(hyper::upgrade::on(response).await.unwrap()));
        while desk.open() != (2, 2) {
            tokio::task::yield_now().await;
        }
        desk.publish("because");
        assert_eq!(client.frame().await, Frame::text("because"));
        assert_eq!(socket.frame().await, Frame::text("because"));
        client.send(frame(8, &1000_u16.to_be_bytes())).await;
        socket.send(frame(8, &1000_u16.to_be_bytes())).await;
        assert_eq!(client.frame().await, Frame::close(1000, ""));
        assert_eq!(socket.frame().await, Frame::close(1000, ""));
        client.until_end().await;
        while desk.open() != (0, 0) {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn handler_with_the_request_upgrades_a_get_to_a_websocket() {
    let desk = Desk::new();
    let mut client = RawClient::connect(serve_hyper(&desk).await).await;
    client.send(upgrade_request("/unread", "")).await;
    assert!(client.head().await.starts_with("http/1.1 101 "));
    while desk.open() != (1, 1) {
        tokio::task::yield_now().await;
    }
    desk.publish("because");
    assert_eq!(client.frame().await, Frame::text("because"));
}

#[tokio::test]
async fn preflight_of_a_post_route_is_answered_by_the_endpoint() {
    let desk = Desk::with(|builder| builder.allow_origin("https://app.example.org"));
    let mut client = RawClient::connect(serve_axum(&desk).await).await;
    client
        .send(
            "OPTIONS /ask HTTP/1.1\r\nHost: localhost\r\nOrigin: https://app.example.org\r\n\
             Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n",
        )
        .await;
    let head = client.head().await;
    assert!(head.starts_with("http/1.1 204 no content\r\n"), "{head}");
    assert!(head.contains("\r\naccess-control-allow-methods: get, head, post\r\n"), "{head}");
    client.send(json("1.1", "/ask", "Origin: https://app.example.org\r\n")).await;
    let head = client.head().await;
    assert!(head.contains("\r\naccess-control-allow-origin: https://app.example.org\r\n"), "{head}");
    assert_eq!(desk.actions(), 1);
}
