//! Row 30: text of a client that becomes part of a topic does not become a wildcard, on any transport.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::routing::any;
use bytes::Bytes;
use http::Response;
use http_body_util::Empty;
use hyper::client::conn::http2::SendRequest;
use hyper::ext::Protocol;
use percent_encoding::percent_decode_str;
use tidings::{Body, Endpoint, LocalHub, Rejection, SubscribeRequest, Topic};
use tokio::net::TcpListener;

use crate::support::http::{App, Frame, RawClient, connect_http2, frame, serve_http1, upgrade_request};

type Shared = State<(Endpoint, LocalHub)>;

/// Subscribes to a topic of the path parameter, which axum has percent-decoded, as a simple handler would.
async fn room(
    State((endpoint, hub)): Shared,
    Path(name): Path<String>,
    wanted: SubscribeRequest,
    request: Request,
) -> Result<Response<Body>, Rejection> {
    let subscription = hub.subscribe(wanted.subscribe_to([format!("rooms/{name}")]))?;
    Ok(endpoint.respond(request, subscription).await)
}

/// Subscribes to a topic of checked segments.
async fn user(
    State((endpoint, hub)): Shared,
    Path(id): Path<String>,
    wanted: SubscribeRequest,
    request: Request,
) -> Result<Response<Body>, Rejection> {
    let topic = Topic::from_segments(["users", &*id])?;
    Ok(endpoint.respond(request, hub.subscribe(wanted.subscribe_to([topic]))?).await)
}

async fn serve(app: &App) -> SocketAddr {
    let router = Router::new()
        .route("/rooms/{name}/events", any(room))
        .route("/users/{id}/events", any(user))
        .with_state((app.endpoint(), app.hub.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

const TRANSPORTS: [&str; 4] = ["short-poll", "long-poll&wait=9&cursor=0.0", "chunked", "sse"];

/// Returns the statuses of the responses for a path: each transport over HTTP/1.1 and HTTP/2, WebSocket last.
async fn statuses(address: SocketAddr, http2: &SendRequest<Empty<Bytes>>, path: &str) -> Vec<u16> {
    let mut statuses = Vec::new();
    let first_line = |head: String| head.split(' ').nth(1).unwrap().parse().unwrap();
    for transport in TRANSPORTS {
        let target = format!("{path}?transport={transport}");
        let mut client = RawClient::connect(address).await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: example.com\r\n\r\n")).await;
        statuses.push(first_line(client.head().await));
        let request = http::Request::get(format!("http://example.com{target}")).body(Empty::new()).unwrap();
        statuses.push(http2.clone().send_request(request).await.unwrap().status().as_u16());
    }
    let mut client = RawClient::connect(address).await;
    client.send(upgrade_request(path, "")).await;
    statuses.push(first_line(client.head().await));
    let connect = http::Request::connect(format!("http://example.com{path}"))
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13");
    statuses.push(http2.clone().send_request(connect.body(Empty::new()).unwrap()).await.unwrap().status().as_u16());
    statuses
}

#[tokio::test]
async fn row_30_wildcard_in_a_path_parameter_is_refused_on_every_transport() {
    let app = App::new();
    let address = serve(&app).await;
    let http2 = connect_http2(address).await;
    let (allowed, refused) = ([[200; 8].as_slice(), &[101, 200]].concat(), vec![400; 10]);
    for path in ["/rooms/a/events", "/rooms/a%2Fb/events", "/rooms/caf%C3%A9/events", "/users/7/events"] {
        assert_eq!(statuses(address, &http2, path).await, allowed, "{path}");
    }
    for path in [
        "/rooms/%2A%2A/events",
        "/rooms/%2a/events",
        "/rooms/**/events",
        "/rooms/*/events",
        "/rooms/a%2F%2A/events",
        "/rooms/a%2F**/events",
        "/rooms/a*/events",
        "/users/*/events",
        "/users/%2A/events",
        "/users/%2A%2A/events",
        // Wildcards that match further levels, where the segments are checked.
        "/users/7%2Fprivate/events",
    ] {
        assert_eq!(statuses(address, &http2, path).await, refused, "{path}");
    }
}

/// The endpoint refuses a topic that its publisher makes of the path: on a page's WebSocket with 1008.
#[tokio::test]
async fn row_30_wildcard_in_a_publishers_path_is_refused_and_closes_a_pages_websocket() {
    let hub = LocalHub::new();
    let endpoint = Endpoint::new({
        let hub = hub.clone();
        move |request: SubscribeRequest| {
            let path = percent_decode_str(request.path()).decode_utf8_lossy().into_owned();
            let subscribed = hub.subscribe(request.subscribe_to([format!("rooms{path}")]));
            async { Ok(subscribed?) }
        }
    });
    let address = serve_http1(&endpoint).await;
    for path in ["/%2A%2A", "/*", "/a/%2A"] {
        for transport in TRANSPORTS {
            let mut client = RawClient::connect(address).await;
            client.send(format!("GET {path}?transport={transport} HTTP/1.1\r\nHost: example.com\r\n\r\n")).await;
            assert!(client.head().await.starts_with("http/1.1 400 "), "{path} {transport}");
            assert_eq!(client.until("}").await, r#"{"error":"topic name contains '*'"}"#);
        }
        let mut program = RawClient::connect(address).await;
        program.send(upgrade_request(path, "")).await;
        assert!(program.head().await.starts_with("http/1.1 400 "), "{path}");
        let mut page = RawClient::connect(address).await;
        page.send(upgrade_request(path, "Origin: https://example.com\r\n")).await;
        assert!(page.head().await.starts_with("http/1.1 101 "), "{path}");
        assert_eq!(page.frame().await, Frame::close(1008, "invalid request: topic name contains '*'"));
        page.send(frame(8, &1008_u16.to_be_bytes())).await;
        assert_eq!(page.until_end().await, "");
    }
    assert_eq!(hub.stats().subscriptions, 0);
}
