//! Rows 3, 17 and 19: headers of every response. CORS headers are for listed pages only, on errors too. No response may
//! be
//! cached, buffered, sniffed or wrapped.

use http::Response;
use tidings::Body;

use super::site::{Answer, Site};
use crate::support::http::{App, To, get, header, request, text};

/// Returns the status and the headers, sorted by name.
fn head(response: &Response<Body>) -> String {
    let mut lines: Vec<_> = response
        .headers()
        .iter()
        .map(|(name, value)| match name.as_str() {
            // Values that differ from response to response.
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
async fn row_03_17_19_every_response_has_its_headers_and_no_others() {
    let app = App::new();
    app.publish("one");
    let cursor = app.publish("two");
    let endpoint = app.builder().allow_origin("https://app.example.org").build();
    let full = app.builder().allow_origin("https://app.example.org").max_sessions(0).build();
    let hosted = app.builder().allow_origin("https://app.example.org").allowed_hosts(["localhost"]).build();
    let long = &*format!("/{}", "x".repeat(17_000));
    let etag = &*format!("etag: \"{cursor}\"");
    let json = "content-type: application/json";
    let (stream, incremental) = ("content-type: text/event-stream", "incremental: ?1");
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
        (&endpoint, "GET", "/events?transport=sse", &[("prefer", "wait=9")], &["200", stream, incremental]),
        (
            &endpoint,
            "GET",
            "/events?transport=chunked",
            &[],
            &["200", "content-type: application/x-ndjson", incremental],
        ),
        (&endpoint, "HEAD", "/events", &[], &["200", json]),
        (&endpoint, "HEAD", "/events?transport=sse", &[], &["200", stream, incremental]),
        (&endpoint, "OPTIONS", "/events", &[], &["204", allow]),
        (&endpoint, "POST", "/events", &[], &["204"]),
        (&endpoint, "POST", "/forbidden", &[], &["403", json]),
        (&endpoint, "PUT", "/events", &[], &["405", allow, json]),
        (&endpoint, "GET", "/events?topic=", &[], &["400", json]),
        (&endpoint, "GET", "/forbidden", &[], &["403", json]),
        (&endpoint, "GET", "/panic", &[], &["500", json]),
        (&endpoint, "POST", "/panic", &[], &["500", json]),
        (&endpoint, "GET", "/broken", &[], &["500", json]),
        (&endpoint, "GET", "/absent", &[], &["404", json]),
        (&endpoint, "GET", "/gone", &[], &["410", json]),
        (&endpoint, "GET", "/unauthorized", &[], &["401", json, "www-authenticate: Bearer"]),
        (&endpoint, "POST", "/unauthorized", &[], &["401", json, "www-authenticate: Bearer"]),
        (&endpoint, "GET", long, &[], &["414", json]),
        (&endpoint, "GET", "/events", &[("cookie", long)], &["431", json]),
        (&endpoint, "POST", "/events", &[("content-length", "65537")], &["413", json]),
        (&hosted, "GET", "/events", &[], &["421", json]),
        (
            &endpoint,
            "GET",
            "/events?callback=steal&transport=short-poll",
            &[],
            &["200", etag, json, "tidings-retry-ms: ms"],
        ),
        (&endpoint, "GET", "/busy", &[], &["503", json, "retry-after: s", "tidings-retry-ms: ms"]),
        (&endpoint, "GET", "/busy?transport=sse", &[], &["200", stream, incremental]),
        (
            &endpoint,
            "GET",
            "/events?transport=websocket",
            &[],
            &["426", json, "sec-websocket-version: 13", "upgrade: websocket"],
        ),
        (&endpoint, "GET", "/events", &ws, &["426", json, "sec-websocket-version: 13", "upgrade: websocket"]),
        (&full, "GET", "/events?transport=chunked", &[], &["503", json, "retry-after: s", "tidings-retry-ms: ms"]),
        (&full, "GET", "/events?transport=sse", &[], &["200", stream, incremental]),
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
async fn row_03_foreign_page_gets_no_cors_headers() {
    let endpoint = App::new().builder().allow_origin("https://app.example.org").build();
    for method in ["GET", "HEAD", "POST", "OPTIONS"] {
        let response = request(method, "/events").header("origin", "https://evil.example").to(&endpoint).await;
        let mut expected: Vec<_> = ALWAYS.into_iter().chain(["content-type: application/json"]).collect();
        expected.sort_unstable();
        assert_eq!(head(&response), format!("403 | {}", expected.join(" | ")), "{method}");
    }
}

#[tokio::test]
async fn row_03_preflight_of_a_foreign_page_varies_by_origin() {
    let endpoint = App::new().builder().allow_origin("https://app.example.org").build();
    for (origin, status, listed) in [("https://evil.example", 403, false), ("https://app.example.org", 204, true)] {
        let preflight = request("OPTIONS", "/events")
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "last-event-id, x-anything");
        let response = preflight.to(&endpoint).await;
        assert_eq!((response.status().as_u16(), header(&response, "vary")), (status, "Origin"));
        let reported = response.headers().keys().filter(|name| name.as_str().starts_with("access-control-")).count();
        assert_eq!(reported > 0, listed, "{origin}");
        assert!(!header(&response, "access-control-allow-headers").contains("x-anything"));
    }
}

#[tokio::test]
async fn row_03_only_a_listed_origin_is_allowed_and_never_by_a_star() {
    let endpoint = App::new().builder().allow_origin("https://app.example.org").build();
    for (origin, named) in [
        (Some("https://app.example.org"), "https://app.example.org"),
        (Some("HTTPS://APP.example.org:443"), "HTTPS://APP.example.org:443"),
        (Some("https://example.com"), ""),
        (Some("https://evil.example"), ""),
        (Some("null"), ""),
        (None, ""),
    ] {
        let request = origin.into_iter().fold(get("/events"), |request, origin| request.header("origin", origin));
        let response = request.to(&endpoint).await;
        assert_eq!(header(&response, "access-control-allow-origin"), named, "{origin:?}");
        let credentials = header(&response, "access-control-allow-credentials");
        assert_eq!(credentials, if named.is_empty() { "" } else { "true" });
    }
}

/// Checks over the network, for every status of an endpoint, each transport and version of HTTP that can get it.
#[tokio::test]
async fn row_17_19_every_status_on_the_wire_has_no_store_nosniff_and_vary() {
    let app = App::new();
    let cursor = app.publish("one");
    let tag = format!("\"{cursor}\"");
    // Below the 16 KiB of headers above which hyper itself answers on HTTP/2.
    let builder = app.builder().allowed_hosts(["example.com"]).max_topics_per_request(1).max_request_head(4_096);
    let endpoint = builder.build();
    let site = Site::new(app, endpoint).await;
    let long = format!("/{}", "x".repeat(5_000));
    let (cookie, none) = ("x".repeat(4_096), &[][..]);
    let check = |way: String, status: u16, answer: &Answer| {
        assert_eq!(answer.status, status, "{way}");
        for line in ["cache-control: no-store, no-transform", "x-content-type-options: nosniff", "vary: origin"] {
            assert!(answer.headers.iter().any(|header| header == line), "{way}: no {line} in {:?}", answer.headers);
        }
    };
    let transports = ["short-poll", "long-poll&wait=0", "chunked", "sse"];
    for (method, path, headers, status) in [
        ("GET", "/events?cursor=0.0&", none, 200),
        ("HEAD", "/events?", none, 200),
        ("OPTIONS", "/events?", none, 200),
        ("GET", "/events?topic=%00&", none, 400),
        ("GET", "/events?topic=a&topic=b&", none, 400),
        ("GET", "/events?topic=%FF&", none, 400),
        ("GET", "/unauthorized?", none, 401),
        ("GET", "/forbidden?", none, 403),
        ("GET", "/events?", &[("origin", "https://evil.example")], 403),
        ("GET", "/absent?", none, 404),
        ("PUT", "/events?", none, 405),
        ("DELETE", "/events?", none, 405),
        ("GET", "/gone?", none, 410),
        ("GET", &*format!("{long}?"), none, 414),
        ("GET", "/events?", &[("cookie", &*cookie)], 431),
        ("GET", "/broken?", none, 500),
        ("GET", "/panic?", none, 500),
        ("GET", "/busy?", none, 503),
    ] {
        for transport in transports {
            let target = format!("{path}transport={transport}");
            let status = if transport == "sse" && status == 503 { 200 } else { status };
            let way = format!("{method} {}", &target[..target.len().min(60)]);
            let with_host: Vec<_> = [("host", "example.com")].into_iter().chain(headers.iter().copied()).collect();
            check(way.clone(), status, &site.send(method, &target, &with_host).await);
            check(format!("{way} over HTTP/2"), status, &site.send_http2(method, &target, headers).await);
        }
    }
    // Responses to WebSocket handshakes, also of the one that opens.
    for (path, host, status) in [
        ("/events", "example.com", 200),
        ("/events?topic=%FF", "example.com", 400),
        ("/unauthorized", "example.com", 401),
        ("/forbidden", "example.com", 403),
        ("/absent", "example.com", 404),
        ("/gone", "example.com", 410),
        ("/events", "evil.example", 421),
        ("/panic", "example.com", 500),
        ("/busy", "example.com", 503),
    ] {
        let headers = [("host", host)];
        check(format!("WebSocket {path}"), status, &site.send_upgrade(path, &headers).await);
        check(format!("CONNECT {path}"), status, &site.send_connect(path, &headers).await.unwrap());
    }
    let host = ("host", "example.com");
    check("304".into(), 304, &site.send("GET", "/events", &[host, ("if-none-match", &tag)]).await);
    check("413".into(), 413, &site.send("POST", "/events", &[host, ("content-length", "65537")]).await);
    check("POST".into(), 200, &site.send("POST", "/events", &[host]).await);
    check("421".into(), 421, &site.send("GET", "/events", &[("host", "evil.example")]).await);
    check("426".into(), 426, &site.send("GET", "/events?transport=websocket", &[host]).await);
}

#[tokio::test]
async fn row_17_two_users_of_one_url_share_no_cached_response() {
    let app = App::new();
    let endpoint = app.endpoint();
    // A cache may not store the first response for the second user, and the first response's tag does not give the
    // second 304.
    let one = get("/events?cursor=0.0").header("cookie", "user=1").to(&endpoint).await;
    let tag = header(&one, "etag").to_owned();
    app.publish("since then");
    let other = get("/events?cursor=0.0").header("cookie", "user=2").header("if-none-match", &tag).to(&endpoint).await;
    for response in [&one, &other] {
        assert_eq!(response.status(), http::StatusCode::OK);
        assert_eq!(header(response, "cache-control"), "no-store, no-transform");
        assert_eq!(header(response, "age"), "");
    }
}

#[tokio::test]
async fn row_19_callback_parameter_has_no_effect() {
    let app = App::new();
    let cursor = app.publish("one");
    let endpoint = app.endpoint();
    for name in ["callback", "jsonp", "cb"] {
        let response = get(&format!("/events?cursor={cursor}&{name}=alert(1)//")).to(&endpoint).await;
        assert_eq!(header(&response, "content-type"), "application/json");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        assert_eq!(text(response).await, format!(r#"{{"cursor":"{cursor}","events":[]}}"#));
    }
}

#[tokio::test]
async fn row_17_http_1_0_stream_closes_its_connection() {
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
