use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use tidings::subscriber::{Batch, Delivery};
use tidings::{Endpoint, SessionEnd, Subscriber, Topic};

use crate::support::VirtualTimer;
use crate::support::http::{App, Frame, RawClient, connect_http2, frame, serve_http2};

fn get(target: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("http://example.com{target}")).body(Empty::new()).unwrap()
}

async fn piece(body: &mut Incoming) -> Result<String, hyper::Error> {
    let data = body.frame().await.unwrap()?.into_data().unwrap();
    Ok(String::from_utf8(data.to_vec()).unwrap())
}

#[tokio::test]
async fn polls_streams_and_drains_work_over_http_2() {
    let app = App::new();
    let endpoint = app.endpoint();
    let mut client = connect_http2(serve_http2(&endpoint).await).await;
    let poll = client.send_request(get("/?cursor=0.0")).await.unwrap();
    assert_eq!(poll.status(), StatusCode::OK);
    let mut sse = client.send_request(get("/?transport=sse")).await.unwrap().into_body();
    assert!(piece(&mut sse).await.unwrap().contains("event: tidings.hello\n"));
    app.publish("one");
    assert!(piece(&mut sse).await.unwrap().contains("data: one\n"));
    app.publish("last event");
    endpoint.drain().await;
    let mut last = String::new();
    // Up to the reset of the stream.
    while let Ok(more) = piece(&mut sse).await {
        last.push_str(&more);
    }
    let (words, bye) = last.split_once("event: tidings.retry\n").unwrap_or_else(|| panic!("no bye in {last}"));
    assert!(words.contains("last event") && bye.ends_with("\n\n"), "{last}");
}

#[tokio::test]
async fn origin_is_compared_with_the_authority() {
    let app = App::new();
    let mut client = connect_http2(serve_http2(&app.endpoint()).await).await;
    for (origin, expected) in [("https://example.com", StatusCode::OK), ("https://example.org", StatusCode::FORBIDDEN)]
    {
        let mut request = get("/events");
        request.headers_mut().insert("origin", origin.parse().unwrap());
        assert_eq!(client.send_request(request).await.unwrap().status(), expected, "{origin}");
    }
}

fn connect_to(protocol: &'static str) -> http::request::Builder {
    Request::connect("http://example.com/events").extension(Protocol::from_static(protocol))
}

#[tokio::test]
async fn websocket_opens_with_an_extended_connect() {
    let app = App::new();
    let endpoint = app.endpoint();
    let mut client = connect_http2(serve_http2(&endpoint).await).await;
    let request = connect_to("websocket").header("sec-websocket-version", "13");
    let request = request.header("sec-websocket-protocol", "tidings.v1").body(Empty::new()).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["sec-websocket-protocol"], "tidings.v1");
    for name in ["sec-websocket-accept", "upgrade", "connection", "content-length", "transfer-encoding"] {
        assert!(!response.headers().contains_key(name), "{name}");
    }
    let mut socket = RawClient::over(TokioIo::new(hyper::upgrade::on(response).await.unwrap()));
    assert!(String::from_utf8(socket.frame().await.1).unwrap().starts_with(r#"{"tidings":"hello","#));
    let cursor = app.publish("one");
    let object = format!("{{\"id\":\"{cursor}\",\"topic\":\"news\",\"data\":\"one\"}}");
    assert_eq!(socket.frame().await, Frame::text(&object));
    socket.send(frame(1, b"hello")).await;
    socket.send(frame(8, &1000_u16.to_be_bytes())).await;
    assert_eq!(socket.frame().await, Frame::close(1000, ""));
    assert_eq!(app.messages(), [tidings::Message::Text("hello".into())]);
}

#[tokio::test]
async fn malformed_connect_is_refused() {
    let app = App::new();
    let mut client = connect_http2(serve_http2(&app.endpoint()).await).await;
    for (protocol, headers, expected) in [
        ("websocket", &[][..], StatusCode::BAD_REQUEST),
        ("websocket", &[("sec-websocket-version", "8")], StatusCode::BAD_REQUEST),
        ("websocket", &[("sec-websocket-version", "13"), ("sec-websocket-protocol", "v2")], StatusCode::BAD_REQUEST),
        ("websocket", &[("sec-websocket-version", "13"), ("origin", "https://evil.example")], StatusCode::FORBIDDEN),
        ("connect-udp", &[("sec-websocket-version", "13")], StatusCode::NOT_IMPLEMENTED),
    ] {
        let mut request = connect_to(protocol);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = client.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
        assert_eq!(response.status(), expected, "{protocol} {headers:?}");
    }
    let get = Request::get("http://example.com/").header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let response = client.send_request(get.body(Empty::new()).unwrap()).await.unwrap();
    assert_eq!((response.status(), app.subscribes()), (StatusCode::BAD_REQUEST, 0));
}

/// Publishes to two sessions, of which one reads, and advances time after each event, until the other session ends.
async fn stall(app: &App, endpoint: &Endpoint, timer: &VirtualTimer, healthy: &mut Incoming, pause: Duration) {
    let big = "x".repeat(20 * 1024);
    let mut events = 0;
    while endpoint.session_count() == 2 {
        app.publish(&big);
        let mut read = 0;
        while read < big.len() {
            read += piece(healthy).await.unwrap().len();
        }
        timer.advance(pause);
        events += 1;
        assert!(events < 1_000);
    }
}

#[tokio::test]
async fn stalled_stream_loses_its_session_and_its_siblings_go_on() {
    let (app, timer) = (App::new(), VirtualTimer::new());
    let endpoint = app.builder().timer(timer.clone()).build();
    tokio::spawn(endpoint.driver());
    let mut client = connect_http2(serve_http2(&endpoint).await).await;
    // The window of a body that is not read is not opened.
    let _stuck = client.send_request(get("/?transport=sse")).await.unwrap();
    let mut healthy = client.send_request(get("/?transport=sse")).await.unwrap().into_body();
    piece(&mut healthy).await.unwrap();
    stall(&app, &endpoint, &timer, &mut healthy, Duration::from_millis(2_500)).await;
    assert_eq!((endpoint.stats().stalled, app.hub.stats().subscriptions), (1, 1));
    app.publish("one");
    assert!(piece(&mut healthy).await.unwrap().contains("one"));
}

#[tokio::test]
async fn row_23_websocket_over_http_2_that_reads_nothing_is_ended_and_its_siblings_go_on() {
    let (app, timer) = (App::new(), VirtualTimer::new());
    let endpoint = app.builder().timer(timer.clone()).build();
    tokio::spawn(endpoint.driver());
    let mut client = connect_http2(serve_http2(&endpoint).await).await;
    let request = connect_to("websocket").header("sec-websocket-version", "13").body(Empty::new()).unwrap();
    let _stuck = hyper::upgrade::on(client.send_request(request).await.unwrap()).await.unwrap();
    let mut healthy = client.send_request(get("/?transport=sse")).await.unwrap().into_body();
    piece(&mut healthy).await.unwrap();
    stall(&app, &endpoint, &timer, &mut healthy, Duration::from_millis(1_000)).await;
    assert_eq!((endpoint.stats().left_for(SessionEnd::Stalled), app.hub.stats().subscriptions), (1, 1));
    app.publish("one");
    assert!(piece(&mut healthy).await.unwrap().contains("one"));
}

#[tokio::test]
async fn panic_ends_its_own_stream_and_not_the_connection() {
    let endpoint = Endpoint::new(|request: tidings::SubscribeRequest| {
        let panics = request.path() == "/panic";
        let mut first = true;
        let subscriber = Scripted(Box::new(move || match (std::mem::replace(&mut first, false), panics) {
            (true, _) => Poll::Ready(Delivery::Events(Batch::new(Topic::new("news").unwrap(), 7, [(1, "one".into())]))),
            (false, true) => panic!("in a subscriber"),
            (false, false) => Poll::Pending,
        }));
        async move { Ok::<_, tidings::Rejection>(subscriber) }
    });
    let mut client = connect_http2(serve_http2(&endpoint).await).await;
    let mut healthy = client.send_request(get("/?transport=sse")).await.unwrap().into_body();
    let mut panicking = client.send_request(get("/panic?transport=sse")).await.unwrap().into_body();
    while piece(&mut panicking).await.is_ok() {}
    while !piece(&mut healthy).await.unwrap().contains("data: one") {}
    let poll = client.send_request(get("/panic")).await.unwrap();
    assert_eq!((poll.status(), endpoint.session_count()), (StatusCode::INTERNAL_SERVER_ERROR, 1));
}

struct Scripted(Box<dyn FnMut() -> Poll<Delivery> + Send>);

impl Subscriber for Scripted {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Delivery> {
        (self.0)()
    }
}
