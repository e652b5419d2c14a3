use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tidings::stats::EndpointStats;
use tidings::{Message, Transport};

use crate::support::http::{App, To, header, request, text};

#[tokio::test]
async fn only_get_subscribes() {
    let app = App::new();
    let endpoint = app.endpoint();
    for (method, target, expected) in [
        ("HEAD", "/events", StatusCode::OK),
        ("HEAD", "/events?transport=sse", StatusCode::OK),
        ("HEAD", "/events?wait=30", StatusCode::OK),
        ("HEAD", "/events?transport=nothing", StatusCode::BAD_REQUEST),
        ("OPTIONS", "/events", StatusCode::NO_CONTENT),
        ("PUT", "/events", StatusCode::METHOD_NOT_ALLOWED),
        ("DELETE", "/events", StatusCode::METHOD_NOT_ALLOWED),
        ("CONNECT", "example.com:80", StatusCode::METHOD_NOT_ALLOWED),
        ("SUBSCRIBE", "/events", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let response = request(method, target).to(&endpoint).await;
        assert_eq!(response.status(), expected, "{method} {target}");
        if matches!(expected, StatusCode::NO_CONTENT | StatusCode::METHOD_NOT_ALLOWED) {
            assert_eq!(header(&response, "allow"), "GET, HEAD, POST, OPTIONS");
        }
        if expected != StatusCode::METHOD_NOT_ALLOWED && expected != StatusCode::BAD_REQUEST {
            assert!(response.body().is_end_stream(), "{method} {target} has no body");
        }
    }
    assert_eq!((app.subscribes(), endpoint.session_count()), (0, 0));
}

#[tokio::test]
async fn head_has_the_headers_of_the_get() {
    let app = App::new();
    let endpoint = app.endpoint();
    for query in ["transport=short-poll", "transport=sse", "transport=chunked"] {
        let (head, get) = (request("HEAD", &format!("/?{query}")), request("GET", &format!("/?{query}")));
        let (head, get) = (head.to(&endpoint).await, get.to(&endpoint).await);
        for name in ["content-type", "cache-control", "x-accel-buffering", "x-content-type-options", "vary"] {
            assert_eq!(head.headers().get(name), get.headers().get(name), "{name} of {query}");
        }
    }
}

#[tokio::test]
async fn post_is_a_message() {
    let app = App::new();
    let endpoint = app.endpoint();
    for (kind, expected) in [
        ("text/plain", Message::Text("hé".into())),
        ("TEXT/Plain; charset=latin1", Message::Text("hé".into())),
        ("application/json", Message::Text("hé".into())),
        ("application/octet-stream", Message::Binary("hé".into())),
    ] {
        let response = request("POST", "/events").header("content-type", kind).with("hé", &endpoint).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{kind}");
        assert_eq!(app.messages().pop(), Some(expected), "{kind}");
    }
    let response = request("POST", "/events").to(&endpoint).await;
    assert_eq!((response.status(), app.messages().pop()), (StatusCode::NO_CONTENT, Some(Message::Binary("".into()))));
    assert_eq!(app.subscribes(), 0);
}

#[tokio::test]
async fn rejected_post_is_answered_with_the_reason() {
    let app = App::new();
    let endpoint = app.builder().max_message(10).build();
    for (target, kind, body, expected, error) in [
        ("/events", "text/plain", "ten bytes!", StatusCode::NO_CONTENT, ""),
        (
            "/events",
            "text/plain",
            "eleven byte",
            StatusCode::PAYLOAD_TOO_LARGE,
            r#"{"error":"message is too large: max_message is 10 bytes"}"#,
        ),
        ("/forbidden", "text/plain", "", StatusCode::FORBIDDEN, r#"{"error":"forbidden"}"#),
        ("/unauthorized", "text/plain", "", StatusCode::UNAUTHORIZED, r#"{"error":"unauthorized"}"#),
        ("/absent", "text/plain", "", StatusCode::NOT_FOUND, r#"{"error":"not found"}"#),
        ("/gone", "text/plain", "", StatusCode::GONE, r#"{"error":"gone"}"#),
        ("/busy", "text/plain", "", StatusCode::SERVICE_UNAVAILABLE, r#"{"error":"server is busy: retry later"}"#),
        ("/broken", "text/plain", "", StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"internal error"}"#),
        ("/panic", "text/plain", "", StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"internal error"}"#),
        ("/events?topic=", "text/plain", "", StatusCode::BAD_REQUEST, r#"{"error":"topic name is empty"}"#),
    ] {
        let response = request("POST", target).header("content-type", kind).with(body, &endpoint).await;
        assert_eq!(response.status(), expected, "{target}");
        assert_eq!(text(response).await, error, "{target}");
    }
    let latin = request("POST", "/events").header("content-type", "text/plain");
    let response = endpoint.handle(latin.body(Full::new(Bytes::from_static(b"h\xe9"))).unwrap()).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(app.messages().len(), 1);
}

#[tokio::test]
async fn post_with_an_encoded_body_gets_415_and_no_message() {
    let app = App::new();
    let endpoint = app.endpoint();
    for (lines, expected) in [
        (&[][..], 204),
        (&["identity"], 204),
        (&["Identity, identity", ""], 204),
        (&["gzip"], 415),
        (&["GZIP"], 415),
        (&["br"], 415),
        (&["identity, gzip"], 415),
        (&["identity", "zstd"], 415),
        (&["identity;q=1"], 415),
        (&["x"], 415),
    ] {
        let before = app.messages().len();
        let request = lines.iter().fold(request("POST", "/events"), |it, line| it.header("content-encoding", *line));
        let response = request.with("not text at all", &endpoint).await;
        assert_eq!(response.status(), expected, "{lines:?}");
        assert_eq!(app.messages().len() - before, usize::from(expected == 204), "{lines:?}");
        if expected == 415 {
            assert_eq!(header(&response, "accept-encoding"), "identity");
            let error = "content-encoding is not supported: send the body uncompressed";
            assert_eq!(text(response).await, format!(r#"{{"error":"{error}"}}"#));
        }
    }
    assert_eq!(endpoint.stats().refused_request, 7);
    // A GET has no body to decode.
    assert_eq!(request("GET", "/events").header("content-encoding", "gzip").to(&endpoint).await.status(), 200);
}

/// A body of `bytes` bytes, one a frame, that then stays pending, or fails if `breaks` is set.
struct SlowBody {
    bytes: usize,
    breaks: bool,
}

impl Body for SlowBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.bytes.checked_sub(1) {
            Some(left) => {
                self.bytes = left;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
            }
            None if self.breaks => Poll::Ready(Some(Err(std::io::Error::other("gone")))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn post_body_has_a_size_limit_and_a_timeout() {
    let app = App::new();
    let endpoint = app.builder().max_message(10).message_timeout(Duration::from_secs(7)).build();
    for (bytes, breaks, expected, after) in [
        (10, false, StatusCode::REQUEST_TIMEOUT, 7),
        (11, false, StatusCode::PAYLOAD_TOO_LARGE, 0),
        (3, true, StatusCode::BAD_REQUEST, 0),
    ] {
        let begin = tokio::time::Instant::now();
        let response = endpoint.handle(request("POST", "/events").body(SlowBody { bytes, breaks }).unwrap()).await;
        assert_eq!((response.status(), begin.elapsed().as_secs()), (expected, after));
    }
    // A `Content-Length` above the limit suffices.
    let announced =
        request("POST", "/events").header("content-length", "11").body(SlowBody { bytes: 0, breaks: false });
    assert_eq!(endpoint.handle(announced.unwrap()).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(app.messages(), []);
}

#[tokio::test]
async fn refusals_are_counted_by_cause() {
    let app = App::new();
    let endpoint = app.endpoint();
    for target in ["/forbidden", "/panic", "/busy", "/events?transport=x", "/events"] {
        request("GET", target).to(&endpoint).await;
    }
    request("GET", "/events").header("origin", "null").to(&endpoint).await;
    let EndpointStats { subscribed, refused_publisher, refused_request, refused_origin, refused_busy, .. } =
        endpoint.stats();
    assert_eq!((subscribed, refused_publisher, refused_request, refused_origin, refused_busy), (1, 3, 1, 1, 0));
}

#[tokio::test]
async fn respond_serves_a_subscriber_of_the_handler() {
    let app = App::new();
    let endpoint = app.endpoint();
    let cursor = app.publish("from the hub");
    let request = |method: &str| {
        Request::builder()
            .method(method)
            .uri("/?cursor=0.0")
            .header("host", "h")
            .body(Full::<Bytes>::default())
            .unwrap()
    };
    let subscribe = || app.hub.subscribe(tidings::Subscribe::topics(["news"]).start(tidings::Start::Oldest)).unwrap();
    let response = endpoint.respond(request("GET"), subscribe()).await;
    assert_eq!(header(&response, "etag"), format!("\"{cursor}\""));
    assert!(text(response).await.contains("from the hub"));
    assert_eq!(endpoint.respond(request("HEAD"), subscribe()).await.status(), StatusCode::OK);
    assert_eq!((app.subscribes(), app.hub.stats().subscriptions), (0, 0));
}

#[tokio::test]
async fn sessions_are_counted_by_transport() {
    let app = App::new();
    let endpoint = app.endpoint();
    let sse = request("GET", "/?transport=sse").to(&endpoint).await;
    let chunked = request("GET", "/?transport=chunked").to(&endpoint).await;
    let stats = endpoint.stats();
    assert_eq!(Transport::ALL.iter().map(|&each| stats.sessions_of(each)).collect::<Vec<_>>(), [0, 0, 1, 1, 0]);
    drop(sse);
    assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (1, 1));
    drop(chunked.into_body().frame().await);
    assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
}
