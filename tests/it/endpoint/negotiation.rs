use http::StatusCode;
use proptest::prelude::*;
use tidings::{Start, SubscribeRequest, Transport};

use crate::support::http::{App, RawClient, To, get, header, request, serve_http1, text, upgrade_request};

/// Returns the transport that a GET with this query and these headers chooses, or the status that refuses it.
async fn choice(target: &str, headers: &[(&str, &str)]) -> Result<Transport, StatusCode> {
    let (app, mut request) = (App::new(), get(target));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.publish("something, so that no poll waits");
    let request = request.header("last-event-id", "0.0");
    let response = request.to(&app.endpoint()).await;
    match response.status() {
        StatusCode::OK => Ok(app.last_subscribe().0),
        status => {
            assert_eq!(app.subscribes(), 0, "{target}: refused after a subscription");
            Err(status)
        }
    }
}

#[tokio::test(start_paused = true)]
async fn request_headers_and_query_choose_the_transport() {
    use Transport::{Chunked, LongPoll, ShortPoll, Sse};

    let bad = Err(StatusCode::BAD_REQUEST);
    let upgrade = Err(StatusCode::UPGRADE_REQUIRED);
    for (target, headers, expected) in [
        ("/events", &[][..], Ok(ShortPoll)),
        ("/events", &[("accept", "*/*")], Ok(ShortPoll)),
        ("/events", &[("accept", "application/json")], Ok(ShortPoll)),
        ("/events", &[("accept", "text/event-stream")], Ok(Sse)),
        ("/events", &[("accept", "TEXT/Event-Stream; charset=utf-8")], Ok(Sse)),
        ("/events", &[("accept", "text/html, text/event-stream")], Ok(Sse)),
        ("/events", &[("accept", "text/html"), ("accept", "text/event-stream;q=0.1")], Ok(Sse)),
        ("/events", &[("accept", "text/event-stream;q=0")], Ok(ShortPoll)),
        ("/events", &[("accept", "text/event-stream; q=0.000, */*")], Ok(ShortPoll)),
        ("/events", &[("accept", "text/event-stream-x")], Ok(ShortPoll)),
        ("/events", &[("accept", "image/png")], Ok(ShortPoll)),
        ("/events", &[("accept", "application/x-ndjson")], Ok(Chunked)),
        ("/events", &[("accept", "application/x-ndjson, text/event-stream")], Ok(Sse)),
        ("/events", &[("accept", "application/ndjson")], Ok(Chunked)),
        ("/events", &[("accept", "application/jsonl")], Ok(Chunked)),
        ("/events", &[("accept", "Application/NDJSON; charset=utf-8")], Ok(Chunked)),
        ("/events", &[("accept", "application/json-seq")], Ok(ShortPoll)),
        // The highest weight (RFC 9110 §12.5.1); of equal weights SSE, then the chunked stream, then a poll.
        ("/events", &[("accept", "text/event-stream;q=0.5, application/x-ndjson")], Ok(Chunked)),
        ("/events", &[("accept", "text/event-stream;q=0.5, application/x-ndjson;q=0.501")], Ok(Chunked)),
        ("/events", &[("accept", "text/event-stream;q=0.5"), ("accept", "application/x-ndjson;q=0.4")], Ok(Sse)),
        ("/events", &[("accept", "text/event-stream;Q=0.5, application/ndjson;q=0.5")], Ok(Sse)),
        ("/events", &[("accept", "text/event-stream;q=0, application/x-ndjson;q=0.1")], Ok(Chunked)),
        ("/events", &[("accept", "application/json, text/event-stream;q=0.9")], Ok(ShortPoll)),
        ("/events", &[("accept", "application/json;q=0.9, text/event-stream")], Ok(Sse)),
        ("/events", &[("accept", "text/event-stream, text/html, application/json")], Ok(Sse)),
        ("/events", &[("accept", "application/json;q=0.5, application/jsonl;q=0.4")], Ok(ShortPoll)),
        ("/events", &[("accept", "application/json, text/event-stream;q=0.9"), ("prefer", "wait=5")], Ok(LongPoll)),
        // A range with a wildcard includes JSON, unless JSON has its own weight.
        ("/events", &[("accept", "*/*, text/event-stream;q=0.9")], Ok(ShortPoll)),
        ("/events", &[("accept", "*/*;q=0.8, text/event-stream;q=0.9")], Ok(Sse)),
        ("/events", &[("accept", "application/*, text/event-stream;q=0.9")], Ok(ShortPoll)),
        ("/events", &[("accept", "text/*, text/event-stream;q=0.9")], Ok(Sse)),
        ("/events", &[("accept", "application/json;q=0.1, */*, text/event-stream;q=0.2")], Ok(Sse)),
        // A wildcard chooses no stream, unless JSON is not acceptable.
        ("/events", &[("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")], Ok(ShortPoll)),
        ("/events", &[("accept", "application/json, text/plain, */*")], Ok(ShortPoll)),
        ("/events", &[("accept", "application/json;q=0, */*")], Ok(Sse)),
        ("/events", &[("accept", "application/json;q=0, text/event-stream;q=0, */*;q=0.1")], Ok(Chunked)),
        ("/events", &[("accept", "text/*;q=0.1")], Ok(Sse)),
        ("/events", &[("accept", "*/*;q=0")], Ok(ShortPoll)),
        ("/events", &[("accept", "application/json;q=0")], Ok(ShortPoll)),
        // An invalid weight counts as 1. Digits after the third are ignored.
        ("/events", &[("accept", "text/event-stream;q=, application/x-ndjson;q=0.9")], Ok(Sse)),
        ("/events", &[("accept", "text/event-stream;q=x, application/x-ndjson;q=0.9")], Ok(Sse)),
        ("/events", &[("accept", "text/event-stream;q=-0.1, application/x-ndjson;q=0.9")], Ok(Sse)),
        ("/events", &[("accept", "text/event-stream;q=nan, application/x-ndjson;q=0.9")], Ok(Sse)),
        ("/events", &[("accept", "text/event-stream;q=7, application/x-ndjson")], Ok(Sse)),
        ("/events", &[("accept", "text/event-stream;q=0.99999999999, application/x-ndjson")], Ok(Chunked)),
        ("/events", &[("accept", "text/event-stream;q=0.0001")], Ok(ShortPoll)),
        ("/events", &[("accept", "text/event-stream;q=1.000;q=0")], Ok(Sse)),
        ("/events", &[("accept", "text/event-stream, text/event-stream;q=0")], Ok(Sse)),
        ("/events", &[("accept", ",, ;q=0, text/event-stream")], Ok(Sse)),
        ("/events", &[("prefer", "wait=5")], Ok(LongPoll)),
        ("/events", &[("prefer", "wait=0")], Ok(ShortPoll)),
        ("/events", &[("prefer", "WAIT=5")], Ok(LongPoll)),
        ("/events", &[("prefer", "wait=\"5\"")], Ok(LongPoll)),
        ("/events", &[("prefer", "wait = 5")], Ok(LongPoll)),
        ("/events", &[("prefer", "respond-async, wait=5; x=y")], Ok(LongPoll)),
        ("/events", &[("prefer", "foo=\"a, wait=5\"")], Ok(ShortPoll)),
        ("/events", &[("prefer", "foo=\"\\\", wait=5\", wait=0")], Ok(ShortPoll)),
        ("/events", &[("prefer", "wait=0, wait=5")], Ok(ShortPoll)),
        ("/events", &[("prefer", "wait=5, wait=0")], Ok(LongPoll)),
        ("/events", &[("prefer", "return=minimal"), ("prefer", "wait=5")], Ok(LongPoll)),
        ("/events", &[("prefer", "wait=soon")], Ok(ShortPoll)),
        ("/events", &[("prefer", "wait=-1")], Ok(ShortPoll)),
        ("/events", &[("prefer", "wait=+1")], Ok(ShortPoll)),
        ("/events", &[("prefer", "wait")], Ok(ShortPoll)),
        ("/events", &[("prefer", "wait=")], Ok(ShortPoll)),
        ("/events", &[("prefer", "wait=99999999999999999999999999")], Ok(LongPoll)),
        ("/events?wait=5", &[], Ok(LongPoll)),
        ("/events?wait=0", &[("prefer", "wait=5")], Ok(ShortPoll)),
        ("/events?wait=x", &[], bad),
        ("/events?wait=5", &[("accept", "text/event-stream")], Ok(Sse)),
        ("/events?transport=sse", &[], Ok(Sse)),
        ("/events?transport=chunked", &[("accept", "text/event-stream")], Ok(Chunked)),
        ("/events?transport=short-poll", &[("prefer", "wait=5")], Ok(ShortPoll)),
        ("/events?transport=long-poll", &[], Ok(LongPoll)),
        ("/events?transport=sse&transport=chunked", &[], Ok(Sse)),
        ("/events?transport=s%73e", &[], Ok(Sse)),
        ("/events?transport=carrier-pigeon", &[], bad),
        ("/events?transport=", &[], bad),
        ("/events?transport=websocket", &[], upgrade),
        ("/events?transport=sse", &[("upgrade", "websocket")], Ok(Sse)),
        ("/events", &[("upgrade", "websocket")], bad),
        ("/events", &[("upgrade", "h2c")], Ok(ShortPoll)),
        ("/events", &[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")], upgrade),
        ("/events?topic=a&topic=b/c&x=y", &[], Ok(ShortPoll)),
        ("/events?topic=", &[], bad),
        ("/events?topic=a//b", &[], bad),
        ("/events?topic=a*", &[], bad),
        // Only the application names patterns: a publisher that checks each topic of the request has checked all.
        ("/events?topic=a/*", &[], bad),
        ("/events?topic=a/%2A%2A", &[], bad),
        ("/events?topic=b&topic=**", &[], bad),
        ("/events?topic=%00", &[], bad),
    ] {
        assert_eq!(choice(target, headers).await, expected, "{target} {headers:?}");
    }
}

#[tokio::test]
async fn disabled_transport_is_refused_if_requested_and_skipped_if_preferred() {
    use Transport::{Chunked, ShortPoll, Sse, WebSocket};

    let app = App::new();
    for (here, target, accept, expected) in [
        (&[Sse][..], "/events", "*/*", Ok(Sse)),
        (&[Sse], "/events?wait=5", "application/x-ndjson", Ok(Sse)),
        (&[Sse], "/events?transport=chunked", "*/*", Err(StatusCode::BAD_REQUEST)),
        (&[Chunked, ShortPoll], "/events", "text/event-stream", Ok(ShortPoll)),
        (&[Chunked], "/events", "text/event-stream", Ok(Chunked)),
        (&[WebSocket], "/events", "text/event-stream", Err(StatusCode::UPGRADE_REQUIRED)),
    ] {
        let endpoint = app.builder().transports(here.iter().copied()).build();
        let response = get(target).header("accept", accept).to(&endpoint).await;
        match expected {
            Ok(transport) => {
                assert_eq!((response.status(), app.last_subscribe().0), (StatusCode::OK, transport), "{target}")
            }
            Err(status) => assert_eq!(response.status(), status, "{target}"),
        }
        if response.status() == StatusCode::UPGRADE_REQUIRED {
            assert_eq!((header(&response, "upgrade"), header(&response, "sec-websocket-version")), ("websocket", "13"));
        }
    }
}

/// A client may know only the media type that it requests.
#[tokio::test]
async fn chunked_stream_has_the_content_type_that_accept_names() {
    let endpoint = App::new().endpoint();
    for (accept, expected) in [
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/ndjson", "application/ndjson"),
        ("application/jsonl", "application/jsonl"),
        ("APPLICATION/JSONL", "application/jsonl"),
        ("application/jsonl;q=0.5, application/ndjson", "application/ndjson"),
        ("application/jsonl, application/ndjson", "application/jsonl"),
        ("application/jsonl;q=0, */*", "application/x-ndjson"),
        ("*/*", "application/x-ndjson"),
    ] {
        for method in ["GET", "HEAD"] {
            let request = request(method, "/events?transport=chunked").header("accept", accept);
            assert_eq!(header(&request.to(&endpoint).await, "content-type"), expected, "{method} {accept}");
        }
    }
}

#[tokio::test]
async fn http_1_0_request_with_upgrade_gets_a_poll_reply() {
    let app = App::new();
    let old = get("/events").version(http::Version::HTTP_10).header("upgrade", "websocket");
    assert_eq!(old.header("connection", "upgrade").to(&app.endpoint()).await.status(), StatusCode::OK);
    assert_eq!(app.last_subscribe().0, Transport::ShortPoll);
}

#[tokio::test]
async fn post_with_upgrade_gets_400() {
    let app = App::new();
    let response = request("POST", "/events").header("upgrade", "websocket").to(&app.endpoint()).await;
    assert_eq!((response.status(), app.messages().len()), (StatusCode::BAD_REQUEST, 0));
}

#[tokio::test]
async fn repeated_topics_count_once_and_65_topics_get_400() {
    let app = App::new();
    let named = |count| (0..count).map(|number| format!("topic=t{number}&topic=t0")).collect::<Vec<_>>().join("&");
    let endpoint = app.endpoint();
    assert_eq!(get(&format!("/events?{}", named(64))).to(&endpoint).await.status(), StatusCode::OK);
    assert_eq!(app.last_subscribe().2.len(), 64);
    let response = get(&format!("/events?{}", named(65))).to(&endpoint).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(text(response).await, r#"{"error":"too many topics: max_topics_per_request is 64"}"#);
}

#[tokio::test]
async fn request_cursor_is_the_first_of_four_sources() {
    let app = App::new();
    let endpoint = app.endpoint();
    for (target, headers, expected) in [
        ("/events", &[][..], Start::Now),
        ("/events", &[("last-event-id", "a.a1")], after("a.a1")),
        ("/events", &[("last-event-id", "")], Start::Now),
        ("/events?cursor=a.a2", &[("last-event-id", "a.a1"), ("if-none-match", "\"a.a3\"")], after("a.a1")),
        ("/events?cursor=a.a2", &[("last-event-id", ""), ("if-none-match", "\"a.a3\"")], after("a.a2")),
        ("/events?cursor=", &[("if-none-match", "\"a.a3\"")], after("a.a3")),
        ("/events?cursor=&cursor=a.a4", &[], after("a.a4")),
        ("/events", &[("if-none-match", "W/\"a.a3\"")], after("a.a3")),
        ("/events", &[("if-none-match", "\"a.a3\", \"a.a2\"")], after("a.a3")),
        ("/events", &[("if-none-match", "*")], Start::Now),
        ("/events", &[("if-none-match", "\"\"")], Start::Now),
        ("/events", &[("last-event-id", "nonsense")], Start::Unreadable),
        ("/events", &[("last-event-id", "a.a1"), ("last-event-id", "a.a1")], after("a.a1")),
        ("/events", &[("last-event-id", "a.a1"), ("last-event-id", "a.a2")], Start::Unreadable),
        ("/events?cursor=A.a1", &[], Start::Unreadable),
        ("/events", &[("if-none-match", "\"elsewhere\"")], Start::Unreadable),
        ("/events?cursor=a.a2&lastEventId=a.a5", &[], after("a.a5")),
        ("/events?lastEventId=a.a5&cursor=a.a2", &[], after("a.a5")),
        ("/events?lastEventId=a.a5&cursor=", &[], after("a.a5")),
        ("/events?lastEventId=nonsense&cursor=a.a2", &[], Start::Unreadable),
        ("/events?lastEventId=a.a5", &[("last-event-id", "a.a1"), ("if-none-match", "\"a.a3\"")], after("a.a1")),
        ("/events?lastEventId=a.a5", &[("if-none-match", "\"a.a3\"")], after("a.a5")),
        ("/events?lastEventId=", &[("if-none-match", "\"a.a3\"")], after("a.a3")),
        ("/events?lastEventId=&last_event_id=a.a5&lastEventID=a.a6", &[], after("a.a5")),
    ] {
        let mut request = get(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let status = request.to(&endpoint).await.status();
        assert_eq!((status, app.last_subscribe().1), (StatusCode::OK, expected), "{target} {headers:?}");
    }
}

/// Names of the cursor parameter that polyfills of `EventSource` and Mercure clients send in the query.
const LAST_EVENT_ID: [&str; 6] =
    ["lastEventId", "lastEventID", "last_event_id", "Last-Event-ID", "last-event-id", "Last%2DEvent%2DID"];

fn after(text: &str) -> Start {
    Start::After(text.parse().unwrap())
}

#[tokio::test]
async fn last_event_id_in_the_query_is_read_as_a_cursor() {
    let app = App::new();
    let endpoint = app.endpoint();
    let address = serve_http1(&endpoint).await;
    for (name, (value, expected)) in LAST_EVENT_ID.into_iter().flat_map(|name| {
        [
            ("a.a1", after("a.a1")),
            ("%61.a1", after("a.a1")),
            ("", Start::Now),
            ("A.a1", Start::Unreadable),
            ("earliest", Start::Unreadable),
            ("%FF", Start::Unreadable),
        ]
        .map(|it| (name, it))
    }) {
        let target = format!("/events?{name}={value}");
        for transport in ["short-poll", "long-poll&wait=0", "chunked", "sse"] {
            let status = get(&format!("{target}&transport={transport}")).to(&endpoint).await.status();
            assert_eq!((status, app.last_subscribe().1), (StatusCode::OK, expected), "{target} {transport}");
        }
        let mut socket = RawClient::connect(address).await;
        socket.send(upgrade_request(&target, "Sec-WebSocket-Protocol: tidings.v1\r\n")).await;
        assert!(socket.head().await.starts_with("http/1.1 101 "), "{target}");
        assert_eq!((app.last_subscribe().0, app.last_subscribe().1), (Transport::WebSocket, expected), "{target}");
        for method in ["GET", "POST"] {
            let (parts, ()) = request(method, &target).body(()).unwrap().into_parts();
            assert_eq!(SubscribeRequest::read(&parts).unwrap().start(), expected, "{method} {target}");
        }
        let posted = request("POST", &target).with("hi", &endpoint).await;
        assert_eq!(posted.status(), StatusCode::NO_CONTENT, "{target}");
    }
    // All other names are left to the application.
    for name in ["lastEvent", "last.event.id", "xlastEventId", "lastEventIds", "last__event__id"] {
        get(&format!("/events?{name}=a.a1")).to(&endpoint).await;
        assert_eq!(app.last_subscribe().1, Start::Now, "{name}");
    }
}

#[tokio::test]
async fn entity_tag_changed_by_a_proxy_is_read_as_the_cursor() {
    let app = App::new();
    let endpoint = app.endpoint();
    for (lines, expected) in [
        (&["\"a.a3-gzip\""][..], after("a.a3")),
        (&["\"a.a3-br\""], after("a.a3")),
        (&["\"a.a3-zstd\""], after("a.a3")),
        (&["\"a.a3;gzip\""], after("a.a3")),
        (&["\"a.a3--gzip\""], after("a.a3")),
        (&["\"a.a3:dtagent10\""], after("a.a3")),
        (&["\"a.a3.k-gzip\""], after("a.a3.k")),
        (&["W/\"a.a3\""], after("a.a3")),
        (&["W/\"a.a3-gzip\""], after("a.a3")),
        (&["\"x\", \"a.a3\""], after("a.a3")),
        (&["\"x\",W/\"a.a3-gzip\" , \"y\""], after("a.a3")),
        (&["\"x, y\", \"a.a3\""], after("a.a3")),
        (&[",, \"a.a3\","], after("a.a3")),
        (&["\"x\"", "\"a.a3\""], after("a.a3")),
        (&["", "\"x\"", "*", "W/\"a.a3;br\""], after("a.a3")),
        (&["\"a.a3\"", "\"a.a4\""], after("a.a3")),
        (&["a.a3"], after("a.a3")),
        (&["a.a3-gzip"], after("a.a3")),
        // A cursor within a longer tag is not a cursor.
        (&["\"x, a.a3\""], Start::Unreadable),
        (&["\"-a.a3\""], Start::Unreadable),
        (&["\"a.a3x\""], Start::Unreadable),
        (&["\"a.a3X\""], Start::Unreadable),
        (&["\"a.a3.-gzip\""], Start::Unreadable),
        (&["\"a.a3"], Start::Unreadable),
        (&["\"x\"", "\"y\""], Start::Unreadable),
        (&["*"], Start::Now),
        (&["*", "\"\""], Start::Now),
        (&["", ","], Start::Now),
    ] {
        for transport in ["short-poll", "long-poll&wait=0", "chunked", "sse"] {
            let request = get(&format!("/events?transport={transport}"));
            let request = lines.iter().fold(request, |request, line| request.header("if-none-match", *line));
            let status = request.to(&endpoint).await.status();
            assert_eq!((status, app.last_subscribe().1), (StatusCode::OK, expected), "{lines:?} {transport}");
        }
    }
}

proptest! {
    #[test]
    fn any_cursor_text_is_accepted(id in prop::collection::vec(32_u8..=255, 0..100), query in ".{0,40}") {
        let app = App::new();
        let mut target = form_urlencoded::Serializer::new("/events?".to_owned());
        let target = target.append_pair("cursor", &query).finish();
        let request = get(&target).header("last-event-id", http::HeaderValue::from_bytes(&id).unwrap_or_else(|_| "".parse().unwrap()));
        let response = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(request.to(&app.endpoint()));
        prop_assert_eq!(response.status(), StatusCode::OK);
    }
}
