//! Every limit of the table of `EndpointBuilder`, reached. Limits that are reached in other tests: `write_timeout` in
//! `endpoint::streams`, `message_timeout` in `endpoint::methods`, `drain_timeout` in `endpoint::drain`, `drain_delay` in
//! `endpoint::drain_delay`, `max_event` in
//! `endpoint::max_event`, `retry` in `row_16_`, `long_poll_timeout` and `max_long_poll_timeout` in `row_11_`,
//! `max_fragments` and the default of `control_rate` in `row_13_14_15_`, `subscribe_timeout` and `max_soft_rejects` in
//! `rejections`, changes of topics in `row_37_`, the time of a renewal in `endpoint::live`, and the one pong owed in `websocket::pressure`.

use std::time::Duration;

use http::StatusCode;

use super::site::Site;
use crate::support::VirtualTimer;
use crate::support::http::{
    App, Frame, RawClient, To, frame, get, header, pass, piece, request, serve_http1, text, upgrade_request,
};

#[tokio::test(start_paused = true)]
async fn session_above_max_sessions_is_refused_with_a_retry_time() {
    let app = App::new();
    let endpoint = app.builder().max_sessions(2).build();
    let one = get("/?transport=sse").to(&endpoint).await;
    let _two = get("/?transport=chunked").to(&endpoint).await;
    let asked = app.subscribes();
    let mut sse = get("/?transport=sse").to(&endpoint).await.into_body();
    assert!(piece(&mut sse).await.unwrap().unwrap().starts_with("event: tidings.retry\n"));
    for target in ["/?transport=chunked", "/?wait=9"] {
        let response = get(target).to(&endpoint).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let (seconds, millis) = (header(&response, "retry-after"), header(&response, "tidings-retry-ms"));
        let (seconds, millis): (u64, u64) = (seconds.parse().unwrap(), millis.parse().unwrap());
        assert!((1000..=5000).contains(&millis) && seconds == millis.div_ceil(1000), "{seconds} s, {millis} ms");
        assert_eq!(text(response).await, r#"{"error":"server is busy: retry later"}"#);
    }
    assert_eq!(app.subscribes(), asked, "the publisher is not called without a place");
    assert_eq!(get("/?transport=short-poll").to(&endpoint).await.status(), StatusCode::OK);
    assert_eq!((endpoint.session_count(), endpoint.stats().refused_busy), (2, 3));
    drop(one);
    assert_eq!(get("/?transport=chunked").to(&endpoint).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn subscribe_above_max_concurrent_calls_gets_503() {
    let app = App::new();
    let endpoint = app.builder().max_concurrent_calls(2).build();
    let waiting = [0, 1].map(|_| tokio::spawn(endpoint.handle(get("/wait").body(String::new()).unwrap())));
    pass(Duration::from_millis(1)).await;
    assert_eq!((app.subscribes(), get("/events").to(&endpoint).await.status()), (2, StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(get("/events").to(&endpoint).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    for waiting in waiting {
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
    }
    assert_eq!(get("/events").to(&endpoint).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn longest_retry_time_is_sent() {
    let response = get("/never").to(&App::new().endpoint()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&response, "retry-after"), u64::MAX.to_string());
    assert_eq!(header(&response, "tidings-retry-ms"), u64::MAX.to_string());
}

/// Number of bytes of a request without other headers, apart from its target.
const HOST: usize = "host".len() + "example.com".len();

#[tokio::test]
async fn request_head_is_limited_to_16_kib() {
    const MAX: usize = 16 * 1024;
    let app = App::new();
    let site = Site::new(app.clone(), app.endpoint()).await;
    let (target, pad) = ("/events?transport=short-poll", "x".repeat(20_000));
    let long = |bytes: usize| format!("{target}&a={}", &pad[..bytes - target.len() - "&a=".len()]);
    let cookie = |bytes: usize| &pad[..bytes - HOST - target.len() - "cookie".len()];
    let refused = |status: u16, what: &str| {
        (status, format!(r#"{{"error":"request {what} is too large: max_request_head is 16384 bytes"}}"#))
    };
    for (target, cookie, expected) in [
        (long(MAX - HOST), None, (200, String::new())),
        (long(MAX - HOST + 1), None, refused(431, "head")),
        (long(MAX), None, refused(431, "head")),
        (long(MAX + 1), None, refused(414, "target")),
        (target.to_owned(), Some(cookie(MAX)), (200, String::new())),
        (target.to_owned(), Some(cookie(MAX + 1)), refused(431, "head")),
    ] {
        let headers: Vec<_> = [("host", "example.com")].into_iter().chain(cookie.map(|it| ("cookie", it))).collect();
        let before = app.subscribes();
        for method in ["GET", "HEAD", "OPTIONS", "POST"] {
            let answer = site.send(method, &target, &headers).await;
            assert_eq!((answer.status, &answer.body), (expected.0, &expected.1), "{method}");
        }
        if expected.0 != 200 {
            // A handshake has more headers; they do not matter for the target.
            assert_eq!(site.send_upgrade(&target, &headers).await.status, expected.0);
            assert_eq!(
                (app.subscribes(), app.messages().len()),
                (before, app.messages().len()),
                "the publisher was not called"
            );
        }
    }
    // One header many times, or many headers once, count in total.
    for (name, many) in [("cookie", 1_000), ("x", 900)] {
        let mut request = get(target);
        for number in 0..many {
            let name = if name == "x" { format!("x-header-{number:04}") } else { name.to_owned() };
            request = request.header(name, "0123456789");
        }
        let response = request.to(&site.endpoint).await;
        assert_eq!(response.status(), if many == 1_000 { 200 } else { 431 }, "{name}");
    }
    let wide = app.builder().max_request_head(64 * 1024).build();
    assert_eq!(get(&long(MAX + 1)).to(&wide).await.status(), 200);
}

#[tokio::test]
async fn topics_and_topic_names_are_limited() {
    let app = App::new();
    let endpoint = app.endpoint();
    let topics = |count: usize| (0..count).map(|number| format!("topic={number}")).collect::<Vec<_>>().join("&");
    let name = |bytes: usize| format!("topic={}", "x".repeat(bytes));
    for (query, status, body) in [
        (topics(64), 200, ""),
        // A repeated topic does not count again.
        (format!("{}&{}", topics(64), topics(64)), 200, ""),
        (topics(65), 400, r#"{"error":"too many topics: max_topics_per_request is 64"}"#),
        (name(255), 200, ""),
        (name(256), 400, r#"{"error":"topic name is 256 bytes; the limit is 255"}"#),
    ] {
        for (method, fine) in [("GET", 200), ("HEAD", 200), ("POST", 204)] {
            let response = request(method, &format!("/events?{query}")).to(&endpoint).await;
            assert_eq!(response.status(), if status == 200 { fine } else { status }, "{method} {query}");
            if status != 200 {
                assert_eq!(text(response).await, body);
            }
        }
    }
    let few = app.builder().max_topics_per_request(2).build();
    let response = get(&format!("/events?{}", topics(3))).to(&few).await;
    assert_eq!(
        (response.status().as_u16(), &*text(response).await),
        (400, r#"{"error":"too many topics: max_topics_per_request is 2"}"#)
    );
}

#[tokio::test]
async fn message_is_limited_to_64_kib() {
    let (app, body) = (App::new(), "x".repeat(64 * 1024 + 1));
    let endpoint = app.endpoint();
    assert_eq!(request("POST", "/events").with(&body[1..], &endpoint).await.status(), 204);
    let response = request("POST", "/events").with(&body, &endpoint).await;
    assert_eq!(response.status(), 413);
    assert_eq!(text(response).await, r#"{"error":"message is too large: max_message is 65536 bytes"}"#);
    assert_eq!(app.messages().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn stream_is_silent_for_at_most_15_s() {
    let (app, second) = (App::new(), Duration::from_secs(1));
    for (builder, silence) in [(app.builder(), 15), (app.builder().keep_alive(4 * second), 4)] {
        let endpoint = builder.build();
        for (transport, keep_alive) in [("sse", ":\n"), ("chunked", "\n")] {
            let mut body = get(&format!("/?transport={transport}")).to(&endpoint).await.into_body();
            piece(&mut body).await.unwrap().unwrap();
            for _ in 0..3 {
                let begin = tokio::time::Instant::now();
                assert_eq!(piece(&mut body).await.unwrap().unwrap(), keep_alive);
                assert!(begin.elapsed() <= silence * second + Duration::from_millis(10), "{:?}", begin.elapsed());
                assert!(begin.elapsed() >= (silence - 1) * second);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn poll_reply_is_limited_to_64_kib_or_one_event() {
    let app = App::new();
    let news = tidings::Topic::new("news").unwrap();
    let mut before = app.publish("first");
    for (size, count, batch, expected) in
        [(1_000, 200, None, 60), (100_000, 3, None, 1), (1_000, 5, Some(1), 1), (10, 20, Some(1 << 20), 20)]
    {
        let endpoint = batch.into_iter().fold(app.builder(), tidings::EndpointBuilder::max_batch_bytes).build();
        for _ in 0..count {
            app.hub.publish_now(&news, "x".repeat(size)).unwrap();
        }
        for transport in ["short-poll", "long-poll&wait=1"] {
            let response = get(&format!("/?cursor={before}&transport={transport}")).to(&endpoint).await;
            let reply: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
            let events = reply["events"].as_array().unwrap().len();
            assert!((expected..=expected + expected / 10).contains(&events), "{size} {batch:?}: {events}");
            assert_eq!(reply["more"].as_bool().unwrap_or(false), events < count, "{size} {batch:?}");
        }
        before = app.publish("between");
    }
}

#[tokio::test]
async fn websocket_pings_after_25_s_and_waits_10_s_for_a_pong_and_5_s_for_a_close() {
    let second = Duration::from_secs(1);
    for (set, [ping, pong, close]) in [(false, [25, 10, 5]), (true, [7, 3, 2])] {
        let (app, timer) = (App::new(), VirtualTimer::new());
        let builder = app.builder().timer(timer.clone());
        let builder = if set { builder.ping(7 * second, 3 * second).close_timeout(2 * second) } else { builder };
        let endpoint = builder.build();
        tokio::spawn(endpoint.driver());
        let address = serve_http1(&endpoint).await;
        let mut client = open(address, &app).await;
        timer.advance(ping * second + TICK);
        assert_eq!(client.frame().await, Frame(0x89, vec![0]), "a ping");
        assert_eq!(endpoint.session_count(), 1);
        timer.advance(pong * second + TICK);
        assert_eq!(client.until_end().await, "", "no pong, no connection");

        let mut client = open(address, &app).await;
        client.send(frame(2, b"too much")).await;
        app.hub.close();
        while !matches!(client.frame().await, Frame(0x88, _)) {}
        assert_eq!(endpoint.session_count(), 1, "it may still answer the Close");
        timer.advance(close * second + TICK);
        assert_eq!(client.until_end().await, "");
        while endpoint.session_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Maximum delay of the endpoint's time.
const TICK: Duration = Duration::from_millis(10);

/// Opens a WebSocket, and waits until both sides know that it is open.
async fn open(address: std::net::SocketAddr, app: &App) -> RawClient {
    let (mut client, before) = (RawClient::connect(address).await, app.messages().len());
    client.send([upgrade_request("/events", "").into_bytes(), frame(2, b"here")].concat()).await;
    client.head().await;
    while app.messages().len() == before {
        tokio::task::yield_now().await;
    }
    client
}

#[tokio::test]
async fn control_frames_are_limited_by_control_rate() {
    let app = App::new();
    let address = serve_http1(&app.builder().control_rate(30).build()).await;
    let mut client = open(address, &app).await;
    client.send([frame(10, b"").repeat(30), frame(1, b"still here")].concat()).await;
    while app.messages().len() < 2 {
        tokio::task::yield_now().await;
    }
    client.send(frame(10, b"").repeat(35)).await;
    assert_eq!(client.frame().await, Frame::close(1008, "too many control frames"));
}

/// The table of `EndpointBuilder` has every limit that can be set, with its default.
#[test]
fn table_of_limits_has_every_setter_and_its_default() {
    let source = [
        include_str!("../../../src/endpoint/builder.rs"),
        include_str!("../../../src/endpoint/limits.rs"),
        include_str!("../../../src/endpoint/message_settings.rs"),
    ];
    let source = source.concat();
    let config = format!("{:?}", App::new().builder());
    let mut reported: Vec<String> = Vec::new();
    for row in source.lines().filter_map(|line| line.strip_prefix("/// | ")) {
        let cells: Vec<_> = row.split(" | ").collect();
        let [what, default, set_by, ..] = cells[..] else { continue };
        let Some(method) = set_by.strip_prefix("[`").and_then(|rest| rest.split('`').next()) else { continue };
        let field = if what == "time for a pong" { "pong" } else { method };
        let value = match default.split_once(" to ") {
            Some((from, to)) => format!("{from}s..={}", to.replace(" s", "s")),
            None => match (default.split_whitespace().next().unwrap().replace(',', ""), default) {
                (_, "any number") => usize::MAX.to_string(),
                (_, "at once") => "0ns".to_owned(),
                (_, "none" | "2 × `long_poll_timeout`" | "a quarter of them") => "None".to_owned(),
                (number, kib) if kib.contains(" KiB") => (number.parse::<usize>().unwrap() * 1024).to_string(),
                (number, seconds) if seconds.contains(" s") && !seconds.contains("second") => number + "s",
                (number, _) => number,
            },
        };
        assert!(config.contains(&format!(" {field}: {value}")), "{what}: {field} is not {value} in {config}");
        reported.push(method.to_owned());
    }
    let limits = source.lines().filter_map(|line| line.trim().strip_prefix("pub fn ")?.split_once("(mut self, "));
    for (method, parameters) in limits {
        let limit = ["usize", "u32", "Duration"].iter().any(|kind| parameters.contains(kind));
        let job = parameters.contains("Fn(");
        assert_eq!(limit && !job, reported.iter().any(|reported| reported == method), "{method}({parameters}");
    }
    assert!(reported.len() >= 20, "{reported:?}");
}
