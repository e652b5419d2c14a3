use http::Response;
use tidings::Body;

use crate::mount::world::{App, To, get, request};

/// Status and headers, in the order of their names.
fn head(response: &Response<Body>) -> String {
    let mut lines: Vec<_> = response
        .headers()
        .iter()
        .map(|(name, value)| match name.as_str() {
            // What differs from answer to answer.
            "tidings-retry-ms" => format!("{name}: ms"),
            "retry-after" => format!("{name}: s"),
            _ => format!("{name}: {}", value.to_str().unwrap()),
        })
        .collect();
    lines.sort_unstable();
    format!("{} | {}", response.status().as_u16(), lines.join(" | "))
}

const ALWAYS: [&str; 4] = [
    "cache-control: no-store, no-transform",
    "vary: Origin",
    "x-accel-buffering: no",
    "x-content-type-options: nosniff",
];

const LISTED: [&str; 3] = [
    "access-control-allow-credentials: true",
    "access-control-allow-origin: https://app.example.org",
    "access-control-expose-headers: ETag, Preference-Applied, Retry-After, Tidings-Retry-Ms",
];

#[tokio::test(start_paused = true)]
async fn every_answer_has_its_headers_and_no_others() {
    let app = App::new();
    app.publish("one");
    let cursor = app.publish("two");
    let endpoint = app.builder().allow_origin("https://app.example.org").build();
    let full = app.builder().allow_origin("https://app.example.org").max_sessions(0).build();
    let etag = &*format!("etag: \"{cursor}\"");
    let json = "content-type: application/json";
    let stream = "content-type: text/event-stream";
    let allow = "allow: GET, HEAD, POST, OPTIONS";
    let (tag, key) = (&*format!("\"{cursor}\""), "dGhlIHNhbXBsZSBub25jZQ==");
    let ws = [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "12"),
        ("sec-websocket-key", key),
    ];
    for (endpoint, method, target, extra, expected) in [
        (&endpoint, "GET", "/events", &[][..], &["200", etag, json, "tidings-retry-ms: ms"][..]),
        (&endpoint, "GET", "/events", &[("if-none-match", tag)], &["304", etag, "tidings-retry-ms: ms"]),
        (
            &endpoint,
            "GET",
            "/events",
            &[("prefer", "wait=0")],
            &["200", etag, json, "preference-applied: wait=0", "tidings-retry-ms: ms"],
        ),
        (
            &endpoint,
            "GET",
            "/events",
            &[("prefer", "wait=90")],
            &["200", etag, json, "preference-applied: wait=55", "tidings-retry-ms: ms"],
        ),
        (&endpoint, "GET", "/events?wait=9", &[("prefer", "wait=90")], &["200", etag, json, "tidings-retry-ms: ms"]),
        (&endpoint, "GET", "/events?transport=sse", &[("prefer", "wait=9")], &["200", stream]),
        (&endpoint, "GET", "/events?transport=chunked", &[], &["200", "content-type: application/x-ndjson"]),
        (&endpoint, "HEAD", "/events", &[], &["200", json]),
        (&endpoint, "HEAD", "/events?transport=sse", &[], &["200", stream]),
        (&endpoint, "OPTIONS", "/events", &[], &["204", allow]),
        (&endpoint, "POST", "/events", &[], &["204"]),
        (&endpoint, "POST", "/forbidden", &[], &["403", json]),
        (&endpoint, "PUT", "/events", &[], &["405", allow, json]),
        (&endpoint, "GET", "/events?topic=", &[], &["400", json]),
        (&endpoint, "GET", "/forbidden", &[], &["403", json]),
        (&endpoint, "GET", "/panic", &[], &["500", json]),
        (&endpoint, "GET", "/busy", &[], &["503", json, "retry-after: s", "tidings-retry-ms: ms"]),
        (&endpoint, "GET", "/busy?transport=sse", &[], &["200", stream]),
        (
            &endpoint,
            "GET",
            "/events?transport=websocket",
            &[],
            &["426", json, "sec-websocket-version: 13", "upgrade: websocket"],
        ),
        (&endpoint, "GET", "/events", &ws, &["426", json, "sec-websocket-version: 13", "upgrade: websocket"]),
        (&full, "GET", "/events?transport=chunked", &[], &["503", json, "retry-after: s", "tidings-retry-ms: ms"]),
        (&full, "GET", "/events?transport=sse", &[], &["200", stream]),
    ] {
        for origin in [None, Some("https://app.example.org")] {
            let mut request = request(method, target);
            for (name, value) in extra.iter().copied().chain(origin.map(|origin| ("origin", origin))) {
                request = request.header(name, value);
            }
            let (status, rest) = expected.split_first().unwrap();
            let mut expected: Vec<_> = rest.iter().copied().chain(ALWAYS).collect();
            if origin.is_some() {
                expected.extend(LISTED);
                if method == "OPTIONS" {
                    expected.extend([
                        "access-control-allow-headers: Last-Event-ID, Prefer, Authorization, Content-Type, Cache-Control, If-None-Match",
                        "access-control-allow-methods: GET, HEAD, POST",
                        "access-control-max-age: 7200",
                    ]);
                }
            }
            expected.sort_unstable();
            let got = head(&request.to(endpoint).await);
            assert_eq!(got, format!("{status} | {}", expected.join(" | ")), "{method} {target} {extra:?} {origin:?}");
        }
    }
}

#[tokio::test]
async fn a_foreign_page_reads_nothing() {
    let endpoint = App::new().builder().allow_origin("https://app.example.org").build();
    for method in ["GET", "HEAD", "POST", "OPTIONS"] {
        let response = request(method, "/events").header("origin", "https://evil.example").to(&endpoint).await;
        let mut expected: Vec<_> = ALWAYS.into_iter().chain(["content-type: application/json"]).collect();
        expected.sort_unstable();
        assert_eq!(head(&response), format!("403 | {}", expected.join(" | ")), "{method}");
    }
}

#[tokio::test]
async fn an_http_1_0_stream_ends_with_its_connection() {
    let endpoint = App::new().endpoint();
    for (target, closes) in [
        ("/events?transport=sse", true),
        ("/busy?transport=sse", true),
        ("/events?transport=chunked", true),
        ("/events", false),
    ] {
        for (version, closes) in
            [(http::Version::HTTP_10, closes), (http::Version::HTTP_11, false), (http::Version::HTTP_2, false)]
        {
            let response = get(target).version(version).to(&endpoint).await;
            let connection = response.headers().get("connection").map(|value| value.to_str().unwrap());
            assert_eq!(connection, closes.then_some("close"), "{target} {version:?}");
        }
    }
}
