//! The endpoint behind layers of tower and in a nested router.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request as AxumRequest;
use bytes::Bytes;
use http::{Request, Response, StatusCode, request};
use http_body_util::{BodyExt, Full};
use tidings::{Endpoint, LocalHub, SubscribeRequest, Topic};
use tokio::time::{Instant, timeout};
use tower_http::compression::predicate::{NotForContentType, Predicate};
use tower_http::compression::{CompressionLayer, DefaultPredicate};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::timeout::TimeoutLayer;
use tower_layer::Layer;
use tower_service::Service;

use crate::support::http::{App, RawClient, get, pass, request, serve_router, upgrade_request};

const SECOND: Duration = Duration::from_secs(1);

/// Sends a request without a body to a service.
async fn ask<S, B>(mut service: S, request: request::Builder) -> Response<B>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>,
{
    service.call(request.body(Full::default()).unwrap()).await.unwrap()
}

async fn body<B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>>(response: Response<B>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn all<'a, B>(response: &'a Response<B>, name: &str) -> Vec<&'a str> {
    response.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

/// Returns the next piece of a body if it is ready before anything else happens.
async fn next<B: http_body::Body<Data = Bytes, Error: std::fmt::Debug> + Unpin>(body: &mut B) -> Option<Bytes> {
    let frame = timeout(SECOND, body.frame()).await.ok()?;
    Some(frame.unwrap().unwrap().into_data().unwrap())
}

#[tokio::test(start_paused = true)]
async fn timeout_layer_below_the_hold_cuts_long_polls_and_no_event_is_lost() {
    let app = App::new();
    let layer = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, 5 * SECOND);
    let cursor = app.publish("before");
    let poll = || get(&format!("/events?cursor={cursor}")).header("prefer", "wait=20");
    let endpoint = app.endpoint();
    let begin = Instant::now();
    let response = ask(layer.layer(endpoint.clone()), poll()).await;
    assert_eq!((response.status(), begin.elapsed().as_secs()), (StatusCode::GATEWAY_TIMEOUT, 5));
    assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
    app.publish("meanwhile");
    assert!(body(ask(layer.layer(endpoint), poll()).await).await.contains("meanwhile"));
}

#[tokio::test(start_paused = true)]
async fn timeout_layer_above_the_hold_never_answers_long_polls() {
    let app = App::new();
    let layer = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, 5 * SECOND);
    let cursor = app.publish("before");
    let endpoint = app.builder().long_poll_timeout(4 * SECOND).max_long_poll_timeout(4 * SECOND).build();
    for (wait, applied) in [("wait=20", vec!["wait=4"]), ("wait=2", vec!["wait=2"]), ("", vec![])] {
        let poll = get(&format!("/events?cursor={cursor}&transport=long-poll")).header("prefer", wait);
        let begin = Instant::now();
        let response = ask(layer.layer(endpoint.clone()), poll).await;
        assert_eq!(response.status(), StatusCode::OK, "{wait}");
        assert_eq!(all(&response, "preference-applied"), applied);
        assert!(begin.elapsed() < 5 * SECOND);
        assert!(body(response).await.ends_with(r#""events":[]}"#));
    }
}

#[tokio::test(start_paused = true)]
async fn timeout_layer_does_not_end_open_streams() {
    let app = App::new();
    let endpoint = app.endpoint();
    let layer = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, 5 * SECOND);
    for transport in ["sse", "chunked"] {
        let response = ask(layer.layer(endpoint.clone()), get(&format!("/?transport={transport}"))).await;
        let mut body = response.into_body();
        next(&mut body).await.unwrap();
        let begin = Instant::now();
        while begin.elapsed() < 60 * SECOND {
            // A keep-alive.
            body.frame().await.unwrap().unwrap();
        }
        app.publish("late");
        let read = next(&mut body).await.unwrap().to_vec();
        assert!(String::from_utf8(read).unwrap().contains("late"), "{transport}");
    }
    let address =
        serve_router(Router::new().route_service("/events", endpoint.clone()).layer(layer), |server| server).await;
    let mut socket = RawClient::connect(address).await;
    socket.send(upgrade_request("/events", "").replace("Host: example.com", "Host: localhost")).await;
    assert!(socket.head().await.starts_with("http/1.1 101 "));
    pass(20 * SECOND).await;
    app.publish("late");
    assert_eq!(socket.frame().await, crate::support::http::Frame::text("late"));
}

/// End of a flush of deflate: every byte before it can be decompressed.
const FLUSHED: [u8; 4] = [0, 0, 0xff, 0xff];

#[tokio::test(start_paused = true)]
async fn row_14_compression_layer_delays_no_event() {
    let app = App::new();
    let plain = DefaultPredicate::new().and(NotForContentType::const_new("application/x-ndjson"));
    for (transport, by_default, with_predicate) in [("sse", &[][..], [""; 0]), ("chunked", &["gzip"], [])] {
        let endpoint = app.endpoint();
        let request = || get(&format!("/?transport={transport}")).header("accept-encoding", "gzip, br");
        let response = ask(CompressionLayer::new().layer(endpoint.clone()), request()).await;
        assert_eq!(all(&response, "content-encoding"), by_default, "{transport}");
        let mut compressed = response.into_body();
        let response = ask(CompressionLayer::new().compress_when(plain.clone()).layer(endpoint), request()).await;
        assert_eq!(all(&response, "content-encoding"), with_predicate, "{transport}");
        let mut uncompressed = response.into_body();
        for text in ["", "one", "two"] {
            if !text.is_empty() {
                app.publish(text);
            }
            let piece = next(&mut uncompressed).await.unwrap();
            assert!(String::from_utf8(piece.to_vec()).unwrap().contains(text), "{transport}");
            let mut piece = Vec::new();
            while let Some(more) = next(&mut compressed).await {
                piece.extend_from_slice(&more);
                if by_default.is_empty() || piece.ends_with(&FLUSHED) {
                    break;
                }
            }
            match by_default.is_empty() {
                true => assert!(String::from_utf8(piece).unwrap().contains(text), "{transport}"),
                false => assert!(piece.ends_with(&FLUSHED), "{transport} {text:?}: {piece:?}"),
            }
        }
    }
}

#[tokio::test]
async fn compression_layer_compresses_poll_replies_and_their_tags_stay_cursors() {
    let app = App::new();
    let cursor = app.publish(&"x".repeat(1_000));
    let layer = CompressionLayer::new();
    let request = |target: &str| get(target).header("accept-encoding", "gzip");
    let response = ask(layer.layer(app.endpoint()), request("/events?cursor=0.0")).await;
    assert_eq!(all(&response, "content-encoding"), ["gzip"]);
    assert_eq!(all(&response, "etag"), [format!("\"{cursor}\"")]);
    assert_eq!(all(&response, "cache-control"), ["no-store, no-transform"]);
    assert_eq!(all(&response, "vary"), ["Origin", "accept-encoding"]);
    assert!(response.into_body().collect().await.unwrap().to_bytes().len() < 500);
    let again = request("/events").header("if-none-match", format!("\"{cursor}\""));
    assert_eq!(ask(layer.layer(app.endpoint()), again).await.status(), StatusCode::NOT_MODIFIED);
}

/// Returns the response of an endpoint that lists one origin, behind a layer.
async fn below(layer: &CorsLayer, method: &str, origin: &str) -> Response<tidings::Body> {
    let endpoint = App::new().builder().allow_origin("https://app.example.org").build();
    let request = request(method, "/events").header("origin", origin).header("access-control-request-method", "GET");
    ask(layer.layer(endpoint), request).await
}

#[tokio::test]
async fn cors_layer_around_the_endpoint_replaces_its_headers_and_allows_no_origin() {
    let (listed, evil) = ("https://app.example.org", "https://evil.example");
    let permissive = CorsLayer::permissive();
    let named = CorsLayer::new()
        .allow_origin(AllowOrigin::list([listed.parse().unwrap(), evil.parse().unwrap()]))
        .allow_credentials(true)
        .expose_headers([http::header::ETAG]);
    // The endpoint's own check still applies: only `allow_origin` or `allow_any_origin` allow an origin.
    for layer in [&permissive, &named] {
        for method in ["GET", "POST"] {
            assert_eq!(below(layer, method, evil).await.status(), StatusCode::FORBIDDEN);
            assert!(below(layer, method, listed).await.status().is_success());
        }
    }
    // No header occurs twice, except `Vary`, which is a list.
    for method in ["GET", "POST", "HEAD", "OPTIONS"] {
        for (layer, origin) in [(&permissive, listed), (&named, listed), (&permissive, evil)] {
            let response = below(layer, method, origin).await;
            for name in response.headers().keys().filter(|name| *name != "vary") {
                assert_eq!(all(&response, name.as_str()).len(), 1, "{method} {name}");
            }
        }
    }
    // If both set a header, the value of the layer remains.
    let response = below(&permissive, "GET", listed).await;
    assert_eq!(all(&response, "access-control-allow-origin"), ["*"]);
    assert_eq!(all(&response, "access-control-expose-headers"), ["*"]);
    // With this value a browser withholds the response to a request with cookies from the page.
    assert_eq!(all(&response, "access-control-allow-credentials"), ["true"]);
    let response = below(&named, "GET", listed).await;
    assert_eq!(all(&response, "access-control-allow-origin"), [listed]);
    assert_eq!(all(&response, "access-control-expose-headers"), ["etag"]);
    // The layer answers a preflight without the endpoint, so the endpoint's list of headers does not apply.
    let response = below(&named, "OPTIONS", listed).await;
    assert_eq!((response.status(), all(&response, "allow")), (StatusCode::OK, vec![]));
    assert_eq!(all(&response, "access-control-allow-headers"), [""; 0]);
}

/// A publisher of the topic `news` that records the path and the parameter `room` of each request.
fn noting(hub: &LocalHub) -> (Endpoint, Arc<Mutex<Vec<String>>>) {
    let (hub, seen) = (hub.clone(), Arc::new(Mutex::new(Vec::new())));
    let log = seen.clone();
    let endpoint = Endpoint::new(move |request: SubscribeRequest| {
        let room = request.query("room").unwrap_or_default().into_owned();
        log.lock().unwrap().push(format!("{} {room}", request.path()));
        let subscription = hub.subscribe(request.subscribe_to(["news"]));
        async move { Ok(subscription?) }
    });
    (endpoint, seen)
}

async fn route(router: &Router, target: &str, headers: &[(&str, &str)]) -> Response<axum::body::Body> {
    let request = headers.iter().fold(get(target), |request, (name, value)| request.header(*name, *value));
    let request: AxumRequest = request.body(axum::body::Body::empty()).unwrap();
    router.clone().call(request).await.unwrap()
}

#[tokio::test]
async fn nested_endpoint_resumes_and_its_publisher_reads_the_path_without_the_prefix() {
    let hub = LocalHub::new();
    let news = Topic::new("news").unwrap();
    let (endpoint, seen) = noting(&hub);
    let routed = Router::new().nest("/api/v1", Router::new().route_service("/events", endpoint.clone()));
    let whole = Router::new().nest_service("/api/v1/events", endpoint.clone());
    for (router, path) in [(routed, "/events"), (whole, "/")] {
        let first = route(&router, "/api/v1/events?room=a%20b", &[]).await;
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(seen.lock().unwrap().pop().unwrap(), format!("{path} a b"));
        let tag = all(&first, "etag")[0].to_owned();
        assert!(all(&first, "tidings-retry-ms")[0].parse::<u64>().unwrap() >= 1_000);
        let cursor = tag.trim_matches('"');
        hub.publish_now(&news, "one").unwrap();
        for (target, headers) in [
            (format!("/api/v1/events?cursor={cursor}"), &[][..]),
            (format!("/api/v1/events?room=x&lastEventId={cursor}&wait=20"), &[]),
            ("/api/v1/events".to_owned(), &[("if-none-match", &*tag)]),
            ("/api/v1/events".to_owned(), &[("last-event-id", cursor), ("prefer", "wait=20")]),
        ] {
            assert!(body(route(&router, &target, headers).await).await.contains("one"), "{target}");
        }
        for transport in ["sse", "chunked"] {
            let target = format!("/api/v1/events?transport={transport}&cursor={cursor}");
            let mut stream = route(&router, &target, &[]).await.into_body();
            let mut read = Vec::new();
            while !String::from_utf8_lossy(&read).contains("one") {
                read.extend_from_slice(&stream.frame().await.unwrap().unwrap().into_data().unwrap());
            }
        }
        let address = serve_router(router, |server| server).await;
        let mut socket = RawClient::connect(address).await;
        let hello = upgrade_request(&format!("/api/v1/events?cursor={cursor}"), "");
        socket.send(hello.replace("Host: example.com", "Host: localhost")).await;
        assert!(socket.head().await.starts_with("http/1.1 101 "));
        assert_eq!(socket.frame().await, crate::support::http::Frame::text("one"));
    }
}

#[test]
fn body_and_adapters_are_send_and_sync() {
    fn shared<T: Send + Sync>() {}
    shared::<tidings::Body>();
    shared::<tidings::subscriber::SubscriberInfo<'_>>();
    shared::<std::pin::Pin<Box<dyn tidings::time::Sleep>>>();
    shared::<tidings::transport::sse::SseEncoder<tidings::Subscription>>();
    shared::<tidings::transport::chunked::ChunkedStream<tidings::Subscription>>();
    shared::<tidings::transport::long_poll::LongPollWaiter<tidings::Subscription>>();
    shared::<tidings::transport::short_poll::PollQueue<tidings::Subscription>>();
}
