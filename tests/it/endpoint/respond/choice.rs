use http::Response;
use tidings::{Body, SubscribeRequest, Transport};

use super::support::{Desk, parts, until, with_body};
use crate::support::http::{header, request, text};

const SSE: &str = "text/event-stream";

#[tokio::test]
async fn post_is_answered_by_sse_or_by_the_lines_that_accept_prefers() {
    let desk = Desk::new();
    for (accept, expected) in [
        (None, SSE),
        (Some(""), SSE),
        (Some("*/*"), SSE),
        (Some("text/event-stream"), SSE),
        (Some("application/json"), SSE),
        (Some("application/json, text/plain, */*"), SSE),
        (Some("text/html"), SSE),
        (Some("text/event-stream;q=0"), SSE),
        (Some("text/event-stream, application/x-ndjson"), SSE),
        (Some("application/x-ndjson"), "application/x-ndjson"),
        (Some("application/ndjson"), "application/ndjson"),
        (Some("application/jsonl, */*;q=0.1"), "application/jsonl"),
        (Some("text/event-stream;q=0.5, application/x-ndjson"), "application/x-ndjson"),
        (Some("application/json, application/x-ndjson;q=0.5"), "application/x-ndjson"),
        (Some("text/event-stream;q=0, */*"), "application/x-ndjson"),
    ] {
        for method in ["POST", "PUT", "PATCH", "DELETE", "QUERY"] {
            let request = accept.into_iter().fold(request(method, "/"), |it, accept| it.header("accept", accept));
            let response = desk.send(request).await;
            assert_eq!((response.status().as_u16(), header(&response, "content-type")), (200, expected), "{accept:?}");
            assert_eq!(header(&response, "cache-control"), "no-store, no-transform");
            assert_eq!(header(&response, "x-accel-buffering"), "no");
        }
    }
    assert_eq!(desk.open(), (0, 0));
}

#[tokio::test]
async fn post_with_a_named_stream_ignores_accept() {
    let desk = Desk::new();
    for (query, accept, expected) in [
        ("transport=sse", "application/x-ndjson", SSE),
        ("transport=chunked", "text/event-stream", "application/x-ndjson"),
        ("transport=chunked", "application/jsonl;q=0.1", "application/jsonl"),
    ] {
        let response = desk.send(request("POST", &format!("/?{query}")).header("accept", accept)).await;
        assert_eq!(header(&response, "content-type"), expected, "{query}");
    }
}

const WAIT: &str = "a wait asks for a poll, which answers only a GET: remove `?wait=` and `Prefer: wait`";

#[tokio::test]
async fn post_that_asks_for_a_poll_or_an_upgrade_gets_400_and_opens_no_session() {
    let desk = Desk::new();
    let poll = |name: &str| format!("transport {name} answers only a GET: use sse or chunked, or none");
    let handshake = [("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-key", "dGhlIHNhbXBsZQ==")];
    for (query, headers, error) in [
        ("transport=short-poll", &[][..], poll("short-poll")),
        ("transport=long-poll", &[], poll("long-poll")),
        ("transport=websocket", &[], poll("websocket")),
        ("transport=long-poll&wait=5", &[], poll("long-poll")),
        ("wait=5", &[], WAIT.into()),
        ("wait=0", &[], WAIT.into()),
        ("transport=sse&wait=5", &[], WAIT.into()),
        ("", &[("prefer", "respond-async, wait=5")], WAIT.into()),
        ("", &handshake, "a WebSocket handshake must be a GET".into()),
        ("transport=websocket", &handshake, "a WebSocket handshake must be a GET".into()),
        // A proxy may have removed the Upgrade.
        ("", &handshake[2..], "a WebSocket handshake must be a GET".into()),
        ("topic=", &[], "topic name is empty".into()),
        ("transport=pigeon", &[], "unknown transport: use short-poll, long-poll, chunked, sse or websocket".into()),
    ] {
        for method in ["POST", "PUT"] {
            let request = headers
                .iter()
                .fold(request(method, &format!("/?{query}")), |it, (name, value)| it.header(*name, *value));
            let subscription = desk.hub.subscribe(tidings::Subscribe::topics(["answer"])).unwrap();
            let response = desk.events.respond(with_body(request), subscription).await;
            assert_eq!(response.status(), 400, "{query} {headers:?}");
            let expected = serde_json::json!({ "error": error }).to_string();
            assert_eq!(text(response).await, expected, "{query} {headers:?}");
        }
    }
    assert_eq!(desk.open(), (0, 0));
    assert_eq!((desk.events.stats().refused_request, desk.events.stats().subscribed), (26, 0));
}

#[tokio::test]
async fn post_with_an_upgrade_to_another_protocol_is_answered() {
    // curl offers h2c over HTTP/1.1 with `--http2`.
    let response = Desk::new().send(request("POST", "/").header("upgrade", "h2c")).await;
    assert_eq!(header(&response, "content-type"), SSE);
}

#[tokio::test]
async fn post_to_an_endpoint_with_few_transports_gets_the_stream_that_is_offered() {
    let send = async |offered: &[Transport], query: &str| {
        let desk = Desk::with(|builder| builder.transports(offered.iter().copied()));
        let response = desk.send(request("POST", &format!("/?{query}")).header("accept", SSE)).await;
        (response.status().as_u16(), header(&response, "content-type").to_owned(), error(response).await)
    };
    let (status, kind, _) = send(&[Transport::Chunked, Transport::ShortPoll], "").await;
    assert_eq!((status, &*kind), (200, "application/x-ndjson"));
    let (status, _, reported) = send(&[Transport::Chunked], "transport=sse").await;
    assert_eq!((status, &*reported), (400, "transport sse is not offered here: choose another, or none"));
    let (status, _, reported) = send(&[Transport::LongPoll, Transport::WebSocket], "").await;
    assert_eq!(status, 500);
    assert!(reported.contains("add sse or chunked to `EndpointBuilder::transports`"), "{reported}");
}

/// Returns the text of a refusal. Empty for a stream.
async fn error(response: Response<Body>) -> String {
    if response.status() == 200 {
        return String::new();
    }
    let body: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    body["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn cursor_of_a_post_is_in_the_headers_and_the_query_as_of_a_get() {
    let desk = Desk::new();
    let first = desk.publish("one");
    let second = desk.publish("two");
    desk.publish("three");
    for (query, headers) in [
        (format!("cursor={second}"), vec![]),
        (format!("cursor={first}&lastEventId={second}"), vec![]),
        (format!("cursor={first}"), vec![("last-event-id", second.clone())]),
        (String::new(), vec![("last-event-id", second.clone())]),
        (String::new(), vec![("if-none-match", format!("\"{second}\""))]),
    ] {
        for accept in [SSE, "application/x-ndjson"] {
            let request = request("POST", &format!("/?{query}")).header("accept", accept);
            let request = headers.iter().fold(request, |it, (name, value)| it.header(*name, value));
            let read = until(&mut desk.send(request).await.into_body(), "three").await;
            assert!(!read.contains("one") && !read.contains("two"), "{query} {headers:?}: {read}");
        }
    }
    for (query, expected) in [("last=2", ["two", "three"].as_slice()), ("start=oldest", &["one", "two", "three"])] {
        let read = until(&mut desk.send(request("POST", &format!("/?{query}"))).await.into_body(), "three").await;
        let seen: Vec<_> = ["one", "two", "three"].into_iter().filter(|word| read.contains(word)).collect();
        assert_eq!(seen, expected, "{query}: {read}");
    }
    // A malformed cursor is a gap, and not a status.
    let mut body = desk.send(request("POST", "/?cursor=lost")).await.into_body();
    assert!(until(&mut body, "tidings.gap").await.contains("invalid"));
}

#[tokio::test]
async fn head_and_options_are_answered_without_the_subscriber() {
    let desk = Desk::with(|builder| builder.allow_origin("https://app.example.org"));
    for (method, target) in [("HEAD", "/?transport=sse"), ("HEAD", "/?wait=5"), ("OPTIONS", "/")] {
        let by_endpoint = crate::support::http::To::to(request(method, target), &desk.events).await;
        let by_handler = desk.send(request(method, target)).await;
        assert_eq!(by_handler.status(), by_endpoint.status(), "{method}");
        assert_eq!(by_handler.headers(), by_endpoint.headers(), "{method}");
        assert_eq!(text(by_handler).await, "", "{method}");
    }
    assert_eq!(desk.send(request("CONNECT", "example.com:80")).await.status(), 405);
    assert_eq!(desk.open(), (0, 0));
}

#[tokio::test]
async fn post_with_an_encoded_body_is_answered_since_the_handler_reads_the_body() {
    let response = Desk::new().send(request("POST", "/").header("content-encoding", "gzip")).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn post_without_respond_stays_a_message() {
    let app = crate::support::http::App::new();
    let endpoint = app.endpoint();
    let request = request("POST", "/events").header("accept", SSE).header("content-type", "text/plain");
    assert_eq!(crate::support::http::To::with(request, "hi", &endpoint).await.status(), 204);
    assert_eq!((app.messages().len(), app.subscribes()), (1, 0));
}

#[test]
fn subscribe_request_of_a_post_has_the_transport_of_the_stream() {
    for (method, target, accept, expected) in [
        ("POST", "/", "*/*", Transport::Sse),
        ("POST", "/", "application/x-ndjson", Transport::Chunked),
        ("POST", "/?transport=chunked", "*/*", Transport::Chunked),
        ("PUT", "/?topic=a", "", Transport::Sse),
        ("GET", "/", "*/*", Transport::ShortPoll),
        // The endpoint refuses it.
        ("POST", "/?transport=long-poll", "*/*", Transport::ShortPoll),
    ] {
        let read = SubscribeRequest::read(&parts(request(method, target).header("accept", accept))).unwrap();
        assert_eq!((read.transport(), read.method().as_str()), (expected, method), "{method} {target} {accept}");
    }
}
