//! Rows 1, 2, 10, 12 and 23 at `tidings::server::serve`, and at the application's own routes behind
//! `Endpoint::origin_layer`.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidings::Endpoint;
use tidings::stats::EndpointStats;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::VirtualTimer;
use crate::support::http::{App, RawClient, connect_http2, router, serve_router};

/// Sends a request over a connection of its own. Returns the status and the rest of the response.
async fn ask(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let (mut client, mut head) = (RawClient::connect(address).await, format!("{method} {target} HTTP/1.1\r\n"));
    headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    client.send(head + "Connection: close\r\nContent-Length: 0\r\n\r\n").await;
    let head = client.head().await;
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    if matches!(status, 400 | 403 | 421) {
        assert!(head.contains("cache-control: no-store") && head.contains("x-content-type-options: nosniff"), "{head}");
    }
    // A stream has no end.
    let rest = if status == 200 && target.contains("sse") { String::new() } else { client.until_end().await };
    (status, rest)
}

#[tokio::test]
async fn row_02_foreign_host_gets_421_on_every_route_of_a_loopback_server() {
    let app = App::new();
    let by_default = serve_router(router(&app, &app.endpoint()), |server| server).await;
    let added =
        serve_router(router(&app, &app.endpoint()), |server| server.allow_host("a.example").allow_host("b:1")).await;
    let listed = serve_router(router(&app, &app.endpoint()), |server| server.allowed_hosts(["a.example"])).await;
    let none = serve_router(router(&app, &app.endpoint()), |server| server.allowed_hosts([""; 0])).await;
    assert_eq!(ask(none, "GET", "/", &[("host", "evil.example")]).await.0, 421, "an empty list allows no more hosts");
    let any = serve_router(router(&app, &app.endpoint()), |server| server.allow_any_host().allow_host("b:1")).await;
    for (host, expected) in [
        ("localhost", [200, 200, 421, 200]),
        ("LocalHost:3000", [200, 200, 421, 200]),
        ("127.0.0.1:80", [200, 200, 421, 200]),
        ("[::1]", [200, 200, 421, 200]),
        ("127.0.0.2", [421, 421, 421, 200]),
        ("localhost.", [421, 421, 421, 200]),
        ("evil.example", [421, 421, 421, 200]),
        ("localhost.evil.example:3000", [421, 421, 421, 200]),
        ("a.example:8080", [421, 200, 200, 200]),
        ("b:1", [421, 200, 421, 200]),
        ("b:2", [421, 421, 421, 200]),
        ("a b", [400, 400, 400, 400]),
    ] {
        for (address, expected) in [by_default, added, listed, any].into_iter().zip(expected) {
            for (method, target) in [("GET", "/events?transport=sse"), ("GET", "/"), ("POST", "/"), ("HEAD", "/none")] {
                let headers =
                    [("host", host), ("origin", &format!("http://{host}")), ("sec-fetch-site", "same-origin")];
                let (status, _) = ask(address, method, target, &headers).await;
                // With `allow_any_host` the route itself refuses an unreadable host, as the layer and the endpoint do.
                let found = if target == "/none" && status == 404 { 200 } else { status };
                assert_eq!(found, expected, "{method} {target} of {host}");
            }
        }
    }
    assert_eq!(ask(by_default, "GET", "/", &[]).await.0, 400, "HTTP/1.1 needs a host");
    let mut old = RawClient::connect(by_default).await;
    old.send("GET / HTTP/1.0\r\n\r\n").await;
    assert!(old.head().await.contains(" 421 "));
    let mut client = connect_http2(by_default).await;
    for (host, expected) in [("localhost", 200), ("localhost:1", 200), ("evil.example", 421)] {
        let request = Request::get(format!("http://{host}/")).body(Empty::<Bytes>::new()).unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{host}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&*body == b"hello", expected == 200, "{body:?}");
    }
}

#[tokio::test]
async fn row_01_foreign_page_cannot_post_to_a_route_behind_the_origin_layer() {
    let app = App::new();
    let endpoint = app.builder().allow_origin("https://app.example").allowed_hosts(["localhost", "a.example"]).build();
    let address = serve_router(router(&app, &endpoint), tidings::server::Serve::allow_any_host).await;
    const HOST: (&str, &str) = ("host", "localhost:3000");
    let (own, listed) = (("origin", "http://localhost:3000"), ("origin", "https://app.example"));
    let (evil, null) = (("origin", "https://evil.example"), ("origin", "null"));
    let site = |site| ("sec-fetch-site", site);
    let foreign = r#"origin \"https://evil.example\" is not allowed for host \"localhost:3000\" (see allow_origin; proxies must keep Host)"#;
    let published = || app.hub.stats().published;
    let mut said = 0;
    for (method, headers, status, text) in [
        ("POST", &[HOST][..], 200, "said"),
        ("POST", &[HOST, own], 200, "said"),
        ("POST", &[HOST, own, site("same-origin")], 200, "said"),
        ("POST", &[HOST, listed, site("cross-site")], 200, "said"),
        ("POST", &[HOST, site("none")], 200, "said"),
        ("POST", &[HOST, evil], 403, foreign),
        ("POST", &[HOST, evil, site("cross-site")], 403, foreign),
        ("POST", &[HOST, null], 403, r#"origin \"null\" is not allowed"#),
        ("POST", &[HOST, ("origin", "")], 403, r#"origin \"\" is not allowed"#),
        ("POST", &[HOST, ("origin", "http://localhost")], 403, r#"origin \"http://localhost\" is not allowed"#),
        ("POST", &[HOST, own, own], 403, "more than one Origin header: send one"),
        ("POST", &[HOST, site("cross-site")], 403, "no Origin header and Sec-Fetch-Site"),
        ("POST", &[HOST, site("same-site")], 403, "no Origin header and Sec-Fetch-Site"),
        ("DELETE", &[HOST, evil], 403, foreign),
        ("PUT", &[HOST, evil], 403, foreign),
        ("ODD", &[HOST, evil], 403, foreign),
        // A link, a form with GET, or an image of another site.
        ("GET", &[HOST, site("cross-site"), ("sec-fetch-mode", "navigate")], 200, "say"),
        ("GET", &[HOST, evil], 200, "say"),
        ("HEAD", &[HOST, evil], 200, ""),
        ("OPTIONS", &[HOST, evil], 405, ""),
        // A handshake is not a link.
        ("GET", &[HOST, evil, ("upgrade", "websocket")], 403, foreign),
        (
            "GET",
            &[("host", "evil.example")],
            421,
            r#"host \"evil.example\" is not allowed (see allowed_hosts; proxies must keep Host)"#,
        ),
        (
            "POST",
            &[("host", "evil.example"), ("origin", "http://evil.example")],
            421,
            r#"host \"evil.example\" is not allowed (see allowed_hosts; proxies must keep Host)"#,
        ),
        (
            "OPTIONS",
            &[("host", "evil.example")],
            421,
            r#"host \"evil.example\" is not allowed (see allowed_hosts; proxies must keep Host)"#,
        ),
        ("POST", &[("host", "a.example"), ("origin", "http://a.example")], 200, "said"),
        ("POST", &[HOST, HOST], 400, "more than one Host header: send one"),
        ("POST", &[], 400, "Host header is missing: HTTP/1.1 requires it"),
    ] {
        let (got, body) = match status {
            405 => (405, String::new()),
            _ => ask(address, method, "/say", headers).await,
        };
        assert_eq!((got, body.contains(text)), (status, true), "{method} {headers:?}: {body}");
        said += u64::from(text == "said");
        assert_eq!(published(), said, "{method} {headers:?}");
    }
    assert_eq!(endpoint.stats().refused_origin, 17);
}

#[tokio::test]
async fn row_18_refused_origin_is_quoted_and_cut() {
    let app = App::new();
    let address = serve_router(router(&app, &app.endpoint()), |server| server).await;
    let long = format!("\"<script>\\{}", "x".repeat(1_000));
    let (status, body) = ask(address, "POST", "/say", &[("host", "localhost"), ("origin", &long)]).await;
    assert_eq!(status, 403);
    assert!(body.contains("<script>") && body.contains("xx") && body.len() < 400, "{body}");
    serde_json::from_str::<serde_json::Value>(&body).unwrap();
}

#[tokio::test(start_paused = true)]
async fn row_10_500_unfinished_heads_are_closed_at_the_deadline_while_another_client_is_served() {
    let app = App::new();
    let address = serve_router(router(&app, &app.endpoint()), |server| server).await;
    let begin = Instant::now();
    let mut slow = Vec::new();
    for number in 0..500 {
        let mut client = RawClient::connect(address).await;
        let pad = "x".repeat(number * 61);
        let head = match number % 5 {
            0 => String::new(),
            1 => "PRI * HTTP/2.0\r\n\r\nS".to_owned(),
            2 => "POST".to_owned(),
            _ => format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {pad}"),
        };
        client.send(head).await;
        slow.push(client);
    }
    let mut healthy = RawClient::connect(address).await;
    for _ in 0..100 {
        healthy.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        healthy.until("hello").await;
    }
    assert!(begin.elapsed() < Duration::from_secs(10), "no head waited for another");
    for client in &mut slow {
        client.until_end().await;
    }
    let took = begin.elapsed();
    assert!((10..=20).contains(&took.as_secs()), "{took:?}");
    // The connection that is idle since its last response is closed later.
    healthy.until_end().await;
    assert!((75..=86).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn row_10_head_above_the_limit_gets_431_before_it_ends() {
    let app = App::new();
    let by_default = serve_router(router(&app, &app.endpoint()), |server| server).await;
    let larger = serve_router(router(&app, &app.endpoint()), |server| server.max_request_head(64 * 1024)).await;
    for (address, max) in [(by_default, 32 * 1024), (larger, 64 * 1024)] {
        let head = "GET / HTTP/1.1\r\nHost: localhost\r\nCookie: ";
        let mut client = RawClient::connect(address).await;
        client.send(format!("{head}{}", "x".repeat(max - head.len()))).await;
        assert!(client.head().await.starts_with("http/1.1 431 "), "{max}");
        client.until_end().await;
        let mut client = RawClient::connect(address).await;
        client.send(format!("{head}{}\r\n\r\n", "x".repeat(max - head.len() - 8))).await;
        assert!(client.head().await.starts_with("http/1.1 200 "), "{max}");
    }
    let mut client = connect_http2(by_default).await;
    let request = Request::get("http://localhost/").header("cookie", "x".repeat(20_000));
    let response = client.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn row_12_connection_above_the_limit_is_served_when_another_closes() {
    let app = App::new();
    let endpoint = app.endpoint();
    let address = serve_router(router(&app, &endpoint), |server| server.max_connections(2)).await;
    for _ in 0..3 {
        let mut open = Vec::new();
        // A WebSocket counts while its connection is open, also after the upgrade.
        let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        for headers in [upgrade, "Accept: text/event-stream\r\n"] {
            let mut client = RawClient::connect(address).await;
            client.send(format!("GET /events HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")).await;
            client.head().await;
            open.push(client);
        }
        while endpoint.session_count() < 2 {
            tokio::task::yield_now().await;
        }
        let mut third = RawClient::connect(address).await;
        third.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        let mut byte = [0];
        assert!(third.stream.try_read(&mut byte).is_err(), "it waits");
        drop(open.remove(0));
        assert!(third.until_end().await.ends_with("hello"));
    }
}

#[tokio::test]
async fn row_23_stream_above_the_limit_waits_and_its_siblings_go_on() {
    let app = App::new();
    let address = serve_router(router(&app, &app.endpoint()), |server| server.max_concurrent_streams(2)).await;
    let mut client = connect_http2(address).await;
    let get = |target: &str| Request::get(format!("http://localhost{target}")).body(Empty::<Bytes>::new()).unwrap();
    // One stream that takes nothing, and one that reads.
    let stalled = client.send_request(get("/events?transport=sse")).await.unwrap();
    let mut healthy = client.send_request(get("/events?transport=sse")).await.unwrap().into_body();
    healthy.frame().await.unwrap().unwrap();
    let mut waiting = tokio::spawn(client.send_request(get("/")));
    for number in 0..50 {
        app.publish(&format!("{number} {}", "x".repeat(20_000)));
        let (mut end, mut read) = (false, 0);
        while !end {
            let piece = healthy.frame().await.unwrap().unwrap().into_data().unwrap();
            read += piece.len();
            end = piece.ends_with(b"\n\n");
        }
        assert!(read > 20_000);
    }
    assert!(!waiting.is_finished());
    drop(stalled);
    assert_eq!((&mut waiting).await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn row_23_http_2_connection_that_does_not_answer_a_ping_is_closed() {
    let app = App::new();
    let address = serve_router(router(&app, &app.endpoint()), |server| server).await;
    let begin = Instant::now();
    let mut client = RawClient::connect(address).await;
    // The preface, and empty settings.
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    use tokio::io::AsyncReadExt;
    let mut all = Vec::new();
    drop(client.stream.read_to_end(&mut all).await);
    let took = begin.elapsed().as_secs();
    assert!((29..=31).contains(&took), "{took} s");
}

/// Connects over HTTP/2 with a window of 0: the server may send no byte of a body.
async fn connect_without_window(address: SocketAddr) -> (SendRequest<Empty<Bytes>>, JoinHandle<()>) {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (client, connection) = builder.initial_stream_window_size(0).handshake(stream).await.unwrap();
    (client, tokio::spawn(async move { drop(connection.await) }))
}

fn from_localhost(target: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("http://localhost{target}")).body(Empty::new()).unwrap()
}

/// Advances the endpoint's time until its counts are as expected.
async fn pass_until(timer: &VirtualTimer, endpoint: &Endpoint, wanted: impl Fn(EndpointStats) -> bool) {
    while !wanted(endpoint.stats()) {
        timer.advance(Duration::from_millis(100));
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn row_33_http_2_connection_with_many_unread_streams_is_aborted_and_one_with_few_is_not() {
    for transport in ["sse", "chunked", "short-poll"] {
        let (app, timer) = (App::new(), VirtualTimer::new());
        // A reply of more than one frame.
        let start_at = app.hub.cursor();
        app.publish(&"x".repeat(2_000));
        let endpoint = app.builder().timer(timer.clone()).build();
        tokio::spawn(endpoint.driver());
        let address = serve_router(router(&app, &endpoint), |server| server).await;
        let target = format!("/events?transport={transport}&cursor={start_at}");
        let (mut few, few_go_on) = connect_without_window(address).await;
        let (mut many, many_go_on) = connect_without_window(address).await;
        let mut unread = Vec::new();
        for (client, streams) in [(&mut few, 4), (&mut many, 20)] {
            for _ in 0..streams {
                unread.push(client.send_request(from_localhost(&target)).await.unwrap());
            }
        }
        pass_until(&timer, &endpoint, |stats| stats.stalled == 24).await;
        many_go_on.await.unwrap();
        pass_until(&timer, &endpoint, |stats| stats.stalled_bodies == 4).await;
        assert!(!few_go_on.is_finished());
        assert_eq!(few.send_request(from_localhost("/")).await.unwrap().status(), 200);
        drop((unread, few));
        pass_until(&timer, &endpoint, |stats| stats.stalled_bodies == 0).await;
    }
}

#[tokio::test]
async fn row_33_http_1_connection_whose_client_reads_nothing_is_aborted() {
    for transport in ["sse", "chunked"] {
        let (app, timer) = (App::new(), VirtualTimer::new());
        let endpoint = app.builder().timer(timer.clone()).build();
        tokio::spawn(endpoint.driver());
        let address = serve_router(router(&app, &endpoint), |server| server).await;
        let mut client = RawClient::connect(address).await;
        client.send(format!("GET /events?transport={transport} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        client.head().await;
        while endpoint.stats().stalled == 0 {
            app.publish(&"x".repeat(900_000));
            timer.advance(Duration::from_millis(500));
            for _ in 0..64 {
                tokio::task::yield_now().await;
            }
        }
        // The client is still connected, and hyper has dropped the body.
        pass_until(&timer, &endpoint, |stats| stats.stalled_bodies == 0).await;
        assert_eq!(endpoint.session_count(), 0);
        drop(client);
    }
}

/// Requests with streams that are reset before or with their responses (CVE-2023-44487).
#[tokio::test]
async fn row_23_flood_of_resets_leaves_no_session_behind() {
    let app = App::new();
    let endpoint = app.endpoint();
    let address = serve_router(router(&app, &endpoint), |server| server).await;
    for turns in 0..10 {
        let mut client = connect_http2(address).await;
        for _ in 0..300 {
            // The server may have closed the connection for it.
            if client.ready().await.is_err() {
                break;
            }
            let answer = client.send_request(from_localhost("/events?transport=sse"));
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            drop(answer);
        }
    }
    while endpoint.session_count() > 0 || app.hub.stats().subscriptions > 0 {
        tokio::task::yield_now().await;
    }
    let mut other = connect_http2(address).await;
    assert_eq!(other.send_request(from_localhost("/")).await.unwrap().status(), 200);
}
