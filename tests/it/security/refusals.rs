//! Reports of refusals to the operator: one for each, with its cause and reason. No text of a client forges a log line.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;
use tidings::endpoint::RefusalCause;
use tidings::{Endpoint, EndpointBuilder, Transport};
use tokio::task::yield_now;

use super::site::Site;
use crate::support::counting::{CountingApp, SnapshotCall};
use crate::support::http::{
    App, Frame, RawClient, TestClient, To, frame, get, pass, request, runtime, serve_http1, settle, upgrade_request,
};

/// One call of the hook.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reported {
    cause: RefusalCause,
    /// The HTTP status or the close code.
    code: Option<u16>,
    transport: Option<Transport>,
    text: String,
    line: String,
}

/// Calls of a hook since they were last taken, in order, and the number of all calls for each cause.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<(Vec<Reported>, [u64; RefusalCause::ALL.len()])>>);

impl Log {
    fn of(builder: EndpointBuilder) -> (Self, EndpointBuilder) {
        let log = Self::default();
        let book = log.clone();
        let builder = builder.on_refusal(move |refused| {
            let status = refused.status().map(|status| status.as_u16());
            let reported = Reported {
                cause: refused.cause(),
                code: status.or(refused.close_code()),
                transport: refused.transport(),
                text: refused.text().to_owned(),
                line: format!("{refused} {refused:?}"),
            };
            let mut book = book.0.lock().unwrap();
            book.1[reported.cause as usize] += 1;
            book.0.push(reported);
        });
        (log, builder)
    }

    fn all(&self) -> Vec<Reported> {
        self.0.lock().unwrap().0.clone()
    }

    /// Takes the one call since the last time.
    fn one(&self, of: &str) -> Reported {
        let mut reported = std::mem::take(&mut self.0.lock().unwrap().0);
        assert_eq!(reported.len(), 1, "{of}: {reported:?}");
        reported.remove(0)
    }

    /// Compares the calls with the endpoint's counters, cause by cause.
    fn agrees_with(&self, endpoint: &Endpoint) {
        let stats = endpoint.stats();
        assert_eq!(
            RefusalCause::ALL.iter().map(|&cause| stats.refused_for(cause)).collect::<Vec<_>>(),
            self.0.lock().unwrap().1,
            "{stats:?}"
        );
    }
}

const TRANSPORTS: [&str; 4] = ["short-poll", "long-poll", "chunked", "sse"];

/// Path, further headers, and the hook's cause, status and text.
type Case = (&'static str, &'static [(&'static str, &'static str)], RefusalCause, u16, &'static str);

const CASES: [Case; 12] = [
    ("/broken?", &[], RefusalCause::Publisher, 500, "the database's password is hunter2"),
    ("/forbidden?", &[], RefusalCause::Publisher, 403, "forbidden"),
    ("/unauthorized?", &[], RefusalCause::Publisher, 401, "unauthorized"),
    ("/absent?", &[], RefusalCause::Publisher, 404, "not found"),
    ("/gone?", &[], RefusalCause::Publisher, 410, "gone"),
    ("/panic?", &[], RefusalCause::Publisher, 500, "publisher panicked"),
    ("/busy?", &[], RefusalCause::Publisher, 503, "busy, retry after 2500 ms"),
    ("/events?topic=%00&", &[], RefusalCause::Request, 400, "topic name contains a control character"),
    (
        "/events?topic=caf%E9&",
        &[],
        RefusalCause::Request,
        400,
        "query is not UTF-8: percent-encode the UTF-8 bytes of each name and value",
    ),
    (
        "/events?",
        &[("origin", "https://evil.example")],
        RefusalCause::Origin,
        403,
        "origin \"https://evil.example\" is not allowed for host \"example.com\" (see allow_origin; proxies must keep Host)",
    ),
    (
        "/events?",
        &[("origin", "null")],
        RefusalCause::Origin,
        403,
        "origin \"null\" is not allowed for host \"example.com\" (see allow_origin; proxies must keep Host)",
    ),
    (
        "/events?",
        &[("sec-fetch-site", "cross-site")],
        RefusalCause::Origin,
        403,
        "no Origin header and Sec-Fetch-Site \"cross-site\": not allowed for host \"example.com\" (see allow_origin)",
    ),
];

#[tokio::test]
async fn refusal_is_reported_once_with_cause_status_and_text_on_every_transport() {
    let app = App::new();
    let (log, builder) = Log::of(app.builder());
    let site = Site::new(app, builder.build()).await;
    for (path, headers, cause, status, text) in CASES {
        let check = |way: &str, status: u16| {
            log.agrees_with(&site.endpoint);
            let reported = log.one(way);
            assert_eq!((reported.cause, reported.code, &*reported.text), (cause, Some(status), text), "{way} {path}");
            assert!(!reported.line.contains("transport="), "{}", reported.line);
        };
        let with_host: Vec<_> = [("host", "example.com")].into_iter().chain(headers.iter().copied()).collect();
        for transport in TRANSPORTS {
            let target = format!("{path}transport={transport}");
            let soft = if transport == "sse" && status == 503 { 200 } else { status };
            assert_eq!(site.send("GET", &target, &with_host).await.status, soft);
            check(transport, soft);
            site.send_http2("GET", &target, headers).await;
            check(&format!("{transport} over HTTP/2"), soft);
        }
        site.send("POST", path, &with_host).await;
        check("POST", status);
        site.send_upgrade(path, &with_host).await;
        check("WebSocket", status);
        site.send_connect(path, &with_host).await.unwrap();
        check("WebSocket over HTTP/2", status);
    }
    for (method, target, status) in [("PUT", "/events", 405), ("HEAD", "/events?wait=x", 400)] {
        site.send(method, target, &[("host", "example.com")]).await;
        log.agrees_with(&site.endpoint);
        assert_eq!(log.one(method).code, Some(status));
    }
    // An answer is not a refusal.
    site.send_all("/events", &[("host", "example.com")]).await;
    assert_eq!(log.all(), []);
}

#[tokio::test]
async fn refusal_of_a_pages_websocket_is_reported_with_its_close_code() {
    let app = App::new();
    let (log, builder) = Log::of(app.builder());
    let site = Site::new(app, builder.build()).await;
    let page = [("host", "example.com"), ("origin", "https://example.com")];
    for (path, code, text) in [
        ("/forbidden", 1008, "forbidden"),
        ("/unauthorized", 1008, "unauthorized"),
        ("/gone", 1008, "gone"),
        ("/broken", 500, "the database's password is hunter2"),
        ("/busy", 503, "busy, retry after 2500 ms"),
    ] {
        site.send_upgrade(path, &page).await;
        let upgrade = log.one(path);
        site.send_connect(path, &page).await.unwrap();
        for reported in [upgrade, log.one(path)] {
            let expected = (RefusalCause::Publisher, Some(code), Some(Transport::WebSocket), text);
            assert_eq!((reported.cause, reported.code, reported.transport, &*reported.text), expected, "{path}");
            assert!(reported.line.contains(&format!("{path:?}")), "{}", reported.line);
        }
    }
    log.agrees_with(&site.endpoint);
}

#[tokio::test]
async fn refusal_of_a_websocket_message_is_reported_with_its_session() {
    let app = App::new();
    let (log, builder) = Log::of(app.builder());
    let endpoint = builder.build();
    let address = serve_http1(&endpoint).await;
    let big = [vec![0x82, 0xff], 65_537_u64.to_be_bytes().to_vec(), vec![0; 4]].concat();
    let violation = "client violated the WebSocket protocol or exceeded a limit";
    for (say, sent, cause, code, text) in [
        ("forbidden", frame(1, b"x"), RefusalCause::Publisher, 1008, "forbidden"),
        ("broken", frame(1, b"x"), RefusalCause::Publisher, 1011, "the database's password is hunter2"),
        ("panic", frame(1, b"x"), RefusalCause::Publisher, 1011, "publisher panicked"),
        ("busy", frame(1, b"x"), RefusalCause::Publisher, 1013, "busy, retry after 2500 ms"),
        ("events", big, RefusalCause::Request, 1009, violation),
        ("events", frame(3, b"x"), RefusalCause::Request, 1002, violation),
    ] {
        let mut client = RawClient::connect(address).await;
        client.send(upgrade_request(&format!("/events?say={say}&closing&token=secret"), "")).await;
        client.head().await;
        client.send(sent).await;
        let Frame(0x88, close) = client.frame().await else { panic!("no Close") };
        assert_eq!(u16::from_be_bytes([close[0], close[1]]), code);
        client.send(frame(8, &code.to_be_bytes())).await;
        client.until_end().await;
        // After a violation the server reads until the client closes its side.
        drop(client);
        while endpoint.session_count() > 0 {
            yield_now().await;
        }
        let reported = log.one(say);
        assert_eq!((reported.cause, reported.code, &*reported.text), (cause, Some(code), text), "{say}");
        assert!(reported.line.contains("in session ") && !reported.line.contains("secret"), "{}", reported.line);
        log.agrees_with(&endpoint);
    }
}

#[tokio::test(start_paused = true)]
async fn refusal_by_a_limit_names_the_limit() {
    let app = App::new();
    let (log, builder) = Log::of(app.builder());
    let endpoint = builder.max_concurrent_calls(1).max_sessions(1).subscribe_timeout(Duration::from_secs(7)).build();
    let waiting = tokio::spawn(endpoint.handle(get("/wait").body(String::new()).unwrap()));
    settle().await;
    get("/events").to(&endpoint).await;
    assert_eq!(log.one("permit").text, "too many calls of the publisher: max_concurrent_calls is reached");
    pass(Duration::from_secs(8)).await;
    assert_eq!(waiting.await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(log.one("deadline").text, "subscribe timed out after 7s (subscribe_timeout)");
    let held = get("/events?transport=sse").to(&endpoint).await;
    let reported = |response: StatusCode| (response.as_u16(), log.one("sessions"));
    let (status, refused) = reported(get("/events?transport=sse").to(&endpoint).await.status());
    assert_eq!((status, refused.cause, refused.code), (200, RefusalCause::Busy, Some(200)), "a soft reject");
    assert_eq!(refused.text, "too many sessions: max_sessions, or max_sessions_per_key of the limit key, is reached");
    drop(held);
    let too_large = request("POST", "/events").header("content-length", "65537");
    assert_eq!(too_large.to(&endpoint).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(log.one("message").text, "message is too large: max_message is 65536 bytes");
    drop(endpoint.drain());
    get("/events").to(&endpoint).await;
    assert_eq!(log.one("drain").text, "endpoint is draining");
    log.agrees_with(&endpoint);
}

#[tokio::test(start_paused = true)]
async fn refusal_of_a_revoked_long_poll_is_reported() {
    let app = App::new();
    let (log, builder) = Log::of(app.builder());
    let endpoint = builder.build();
    let mut client = TestClient::open(&endpoint, Transport::LongPoll, "/events").await;
    assert_eq!(endpoint.revoke_where(|_| true), 1);
    assert_eq!(client.finish().await, "401 with a challenge");
    let reported = log.one("revoked");
    assert_eq!(
        (reported.cause, reported.code, &*reported.text),
        (RefusalCause::Publisher, Some(401), "authorization revoked")
    );
    log.agrees_with(&endpoint);
}

#[tokio::test(start_paused = true)]
async fn refusal_of_a_snapshot_is_reported_with_its_session() {
    for (call, cause, text) in [
        (SnapshotCall::Wait, RefusalCause::Busy, "snapshot timed out after 10s (subscribe_timeout)"),
        (SnapshotCall::Panic, RefusalCause::Publisher, "snapshot: publisher panicked"),
    ] {
        let app = CountingApp::new(4).with_snapshot_call(call);
        let (log, builder) = Log::of(app.builder());
        let endpoint = builder.max_concurrent_calls(1).build();
        app.count(3);
        let target = "/events?cursor=nonsense";
        let one = TestClient::open(&endpoint, Transport::Sse, target).await;
        if call == SnapshotCall::Wait {
            let other = TestClient::open(&endpoint, Transport::Sse, target).await;
            // The second subscribe call gets no permit either, while the first one's snapshot holds it.
            assert_eq!(log.one("busy").text, "too many calls of the publisher: max_concurrent_calls is reached");
            drop(other);
        }
        pass(Duration::from_secs(11)).await;
        let reported = log.one("snapshot");
        assert_eq!((reported.cause, reported.code, &*reported.text), (cause, None, text));
        assert!(reported.line.contains("in session "), "{}", reported.line);
        log.agrees_with(&endpoint);
        drop(one);
    }
}

#[tokio::test]
async fn refusal_is_answered_if_its_hook_panics_or_uses_the_endpoint() {
    let app = App::new();
    let slot: Arc<Mutex<Option<Endpoint>>> = Arc::default();
    let inside = slot.clone();
    let endpoint = app
        .builder()
        .on_refusal(move |_| {
            // No lock is held: each of these calls takes a lock of the endpoint.
            let endpoint = inside.lock().unwrap().clone().unwrap();
            endpoint.disconnect_where(|_| true);
            assert!(endpoint.stats().refused_publisher > 0, "counted before the hook is called");
            panic!("in the hook, of {} sessions", endpoint.sessions().len());
        })
        .build();
    *slot.lock().unwrap() = Some(endpoint.clone());
    let site = Site::new(app, endpoint).await;
    for _ in 0..3 {
        assert_eq!(site.send_upgrade("/forbidden", &[("host", "example.com")]).await.status, 403);
        assert_eq!(site.send("GET", "/forbidden", &[("host", "example.com")]).await.status, 403);
        assert_eq!(site.send("GET", "/events", &[("host", "example.com")]).await.status, 200);
    }
    *slot.lock().unwrap() = None;
}

#[tokio::test]
async fn refusal_has_the_requests_extensions() {
    #[derive(Clone)]
    struct Peer(&'static str);

    let seen: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let book = seen.clone();
    let hook = move |refused: &tidings::endpoint::Refused<'_>| {
        assert_eq!((refused.method().unwrap().as_str(), refused.session().is_none()), ("GET", true));
        book.lock().unwrap().push(refused.extension::<Peer>().unwrap().0);
    };
    let endpoint = App::new().builder().on_refusal(hook).build();
    for target in ["/forbidden", "/events?wait=x", "/panic?transport=sse"] {
        get(target).extension(Peer("192.0.2.1")).to(&endpoint).await;
    }
    assert_eq!(*seen.lock().unwrap(), ["192.0.2.1"; 3]);
}

fn any_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "\r\n",
        "\n",
        "\0",
        "\u{1b}[31m",
        "\u{85}",
        "\u{2028}",
        "\u{202e}",
        "\"",
        "\\",
        "é",
        "a",
        "refused (origin)",
    ]);
    prop::collection::vec(piece, 0..80).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For any texts of the client and the publisher, a refusal is one line, of texts of at most 128 bytes, without the
    /// query.
    #[test]
    fn row_20_refusal_in_a_log_is_one_short_line(said in any_text(), origin in any_text(), path in any_text()) {
        let (log, builder) = Log::of(Endpoint::builder(move |_| {
            let rejection = tidings::Rejection::internal(said.clone());
            async { Err::<tidings::subscriber::BoxSubscriber, _>(rejection) }
        }));
        let endpoint = builder.build();
        let origin: Vec<u8> = origin.bytes().filter(|byte| *byte >= 32 && *byte != 127).collect();
        let path: String = path.chars().filter(|it| !matches!(it, '?' | '#')).collect();
        let path: String = path.bytes().map(|byte| match byte {
            33..=126 if !b"\"<>\\^`{|}%".contains(&byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        }).collect();
        let target = format!("/{path}?token=qZx7secret");
        runtime().block_on(async {
            get(&target).to(&endpoint).await;
            get(&target).header("origin", http::HeaderValue::from_bytes(&origin).unwrap()).to(&endpoint).await;
        });
        let reported = log.all();
        prop_assert_eq!(reported.len(), 2);
        for Reported { line, .. } in reported {
            prop_assert!(!line.chars().any(|it| it.is_control() || matches!(it, '\u{2028}' | '\u{202e}')), "{line:?}");
            prop_assert!(!line.contains("qZx7"), "{line}");
            // Display and Debug, with two texts each: escaping makes at most six bytes of one.
            prop_assert!(line.len() < 2 * (2 * 128 * 6 + 100), "{}", line.len());
        }
    }
}
