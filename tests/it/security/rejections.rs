//! Answers to a rejection on each transport, in a form that its clients can read.

use std::time::Duration;

use tidings::Rejection;
use tidings::stats::EndpointStats;
use tokio::task::yield_now;

use super::site::Site;
use crate::support::VirtualTimer;
use crate::support::http::{
    App, Frame, RawClient, To, frame, get, header, pass, piece, request, serve_http1, text, upgrade_request,
};

/// Paths that the application rejects, with the status and the error text of the response, and the close reason of a
/// page's
/// WebSocket, if it is opened.
const REFUSALS: [(&str, u16, &str, Option<&str>); 6] = [
    ("/unauthorized", 401, "unauthorized", Some("unauthorized")),
    ("/forbidden", 403, "forbidden", Some("forbidden")),
    ("/absent", 404, "not found", Some("not found")),
    ("/gone", 410, "gone", Some("gone")),
    ("/broken", 500, "internal error", None),
    ("/panic", 500, "internal error", None),
];

#[tokio::test]
async fn wire_rejection_is_a_status_for_polls_streams_and_messages() {
    let app = App::new();
    let endpoint = app.endpoint();
    for (path, status, why, _) in REFUSALS {
        for (method, query) in
            [("GET", "short-poll"), ("GET", "long-poll"), ("GET", "chunked"), ("GET", "sse"), ("POST", "sse")]
        {
            let response = request(method, &format!("{path}?transport={query}")).to(&endpoint).await;
            assert_eq!(response.status(), status, "{method} {path} {query}");
            let challenge = header(&response, "www-authenticate");
            assert_eq!(challenge, if status == 401 { "Bearer" } else { "" }, "RFC 9110 §15.5.2");
            assert_eq!(text(response).await, format!(r#"{{"error":"{why}"}}"#), "{method} {path} {query}");
        }
    }
    assert_eq!((endpoint.session_count(), endpoint.stats().refused_publisher), (0, 5 * REFUSALS.len() as u64));
}

#[tokio::test]
async fn wire_rejected_websocket_of_a_page_gets_a_close_code_and_others_a_status() {
    const ORIGIN: &str = "Origin: https://example.com\r\n";
    let app = App::new();
    let endpoint = app.endpoint();
    let address = serve_http1(&endpoint).await;
    for (path, status, _, reason) in REFUSALS {
        for (origin, protocol) in [("", ""), (ORIGIN, ""), (ORIGIN, "Sec-WebSocket-Protocol: tidings.v1\r\n")] {
            let mut client = RawClient::connect(address).await;
            client.send(upgrade_request(path, &format!("{origin}{protocol}"))).await;
            let head = client.head().await;
            let Some(reason) = reason.filter(|_| !origin.is_empty()) else {
                assert!(head.starts_with(&format!("http/1.1 {status} ")), "{path}: {head}");
                assert_eq!(head.contains("\r\nwww-authenticate: bearer\r\n"), status == 401, "{head}");
                continue;
            };
            assert!(head.starts_with("http/1.1 101 "), "{path}: {head}");
            assert_eq!(head.contains("\r\nsec-websocket-protocol: tidings.v1\r\n"), !protocol.is_empty(), "{head}");
            assert_eq!(client.frame().await, Frame::close(1008, reason), "{path}: the first frame and the last");
            client.send(frame(1, b"let me in")).await;
            client.send(frame(8, &1008_u16.to_be_bytes())).await;
            assert_eq!(client.until_end().await, "");
        }
    }
    while endpoint.stats().soft_rejects > 0 {
        yield_now().await;
    }
    assert_eq!(app.messages(), [], "messages of a rejected client are not read");
    assert_eq!((endpoint.session_count(), endpoint.stats().soft_rejected), (0, 8));
}

#[tokio::test]
async fn wire_rejected_websocket_of_a_page_is_opened_over_http_2_too() {
    let app = App::new();
    let site = Site::new(app.clone(), app.endpoint()).await;
    let (host, origin) = (("host", "example.com"), ("origin", "https://example.com"));
    for (path, status, _, reason) in REFUSALS {
        let program = site.send_connect(path, &[host]).await.unwrap();
        let page = site.send_connect(path, &[host, origin]).await.unwrap();
        let opened = if reason.is_some() { 200 } else { status };
        assert_eq!((program.status, page.status), (status, opened), "{path}");
    }
    assert_eq!(site.endpoint.stats().soft_rejected, 4);
}

#[test]
fn wire_rejection_of_a_handler_has_the_headers_of_the_endpoint() {
    use axum::response::IntoResponse;

    let response = Rejection::Unauthorized.into_response();
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    assert_eq!(response.headers()["cache-control"], "no-store, no-transform");
}

#[tokio::test]
async fn wire_rejected_page_that_never_closes_is_cut() {
    let (app, timer) = (App::new(), VirtualTimer::new());
    let endpoint = app.builder().timer(timer.clone()).close_timeout(Duration::from_secs(3)).build();
    tokio::spawn(endpoint.driver());
    let mut client = RawClient::connect(serve_http1(&endpoint).await).await;
    client.send(upgrade_request("/forbidden", "Origin: https://example.com\r\n")).await;
    client.head().await;
    assert_eq!(client.frame().await, Frame::close(1008, "forbidden"));
    assert_eq!(endpoint.stats().soft_rejects, 1);
    timer.advance(Duration::from_millis(3_010));
    assert_eq!(client.until_end().await, "");
    while endpoint.stats().soft_rejects > 0 {
        yield_now().await;
    }
}

#[tokio::test]
async fn wire_challenge_can_be_set_and_is_validated() {
    let endpoint = App::new().builder().www_authenticate(r#"Bearer realm="push", error="invalid_token""#).build();
    let response = get("/unauthorized").to(&endpoint).await;
    assert_eq!(header(&response, "www-authenticate"), r#"Bearer realm="push", error="invalid_token""#);
    assert_eq!(header(&get("/forbidden").to(&endpoint).await, "www-authenticate"), "");
    for wrong in ["", " ", " Bearer", "Bea\trer", "Bearer\r\nSet-Cookie: a=b", "Bearer\0", ", Basic", "é", "Bearer é\n"]
    {
        assert!(std::panic::catch_unwind(|| App::new().builder().www_authenticate(wrong)).is_err(), "{wrong:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn wire_subscribe_timeout_gets_a_retry_time_on_each_transport() {
    let app = App::new();
    let endpoint = app.builder().subscribe_timeout(Duration::from_secs(7)).max_concurrent_calls(1).build();
    for query in ["short-poll", "long-poll", "chunked", "sse"] {
        let begin = tokio::time::Instant::now();
        let response = get(&format!("/wait?transport={query}")).to(&endpoint).await;
        assert_eq!(begin.elapsed().as_secs(), 7, "{query}");
        if query == "sse" {
            assert_eq!(response.status(), 200);
            let block = piece(&mut response.into_body()).await.unwrap().unwrap();
            assert!(block.starts_with("event: tidings.retry\nretry: "), "{block}");
            continue;
        }
        assert_eq!(response.status(), 503, "{query}");
        assert!((1..=5).contains(&header(&response, "retry-after").parse::<u64>().unwrap()));
        assert_eq!(text(response).await, r#"{"error":"server is busy: retry later"}"#);
    }
    // The permit is free again each time, and the timeout is not counted as a rejection of the publisher.
    let EndpointStats { refused_busy, refused_publisher, subscribed, .. } = endpoint.stats();
    assert_eq!((refused_busy, refused_publisher, subscribed), (4, 0, 0));
    // A subscription in time is not affected, however long its session is.
    assert_eq!(get("/events").to(&endpoint).await.status(), 200);
    let mut sse = get("/events?transport=sse").to(&endpoint).await.into_body();
    piece(&mut sse).await.unwrap().unwrap();
    pass(Duration::from_secs(8)).await;
    assert_eq!(endpoint.session_count(), 1);
}

#[tokio::test]
async fn wire_subscribe_timeout_opens_no_websocket() {
    let (app, timer) = (App::new(), VirtualTimer::new());
    let endpoint = app.builder().timer(timer.clone()).subscribe_timeout(Duration::from_secs(7)).build();
    tokio::spawn(endpoint.driver());
    let address = serve_http1(&endpoint).await;
    for origin in ["", "Origin: https://example.com\r\n"] {
        let (asked, mut client) = (app.subscribes(), RawClient::connect(address).await);
        client.send(upgrade_request("/wait", origin)).await;
        while app.subscribes() == asked {
            yield_now().await;
        }
        // The deadline is set when the publisher's first poll was pending.
        while timer.sleeping() == 0 {
            yield_now().await;
        }
        timer.advance(Duration::from_millis(7_010));
        let head = client.head().await;
        assert!(head.starts_with("http/1.1 503 ") && head.contains("\r\nretry-after: "), "{origin}: {head}");
    }
    assert_eq!((endpoint.session_count(), endpoint.stats().soft_rejected), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn wire_soft_rejects_are_counted_bounded_and_released() {
    let app = App::new();
    let endpoint = app.builder().max_soft_rejects(2).write_timeout(Duration::from_secs(4)).build();
    let busy = || async { get("/busy?transport=sse").to(&endpoint).await };
    let (mut one, two) = (busy().await, busy().await);
    assert_eq!((one.status().as_u16(), two.status().as_u16(), endpoint.stats().soft_rejects), (200, 200, 2));
    let third = busy().await;
    assert_eq!((third.status().as_u16(), header(&third, "retry-after")), (503, "3"), "one too many: a plain status");
    // A soft reject is counted until 100 ms after its block was taken.
    assert!(piece(one.body_mut()).await.unwrap().is_ok());
    let begin = tokio::time::Instant::now();
    assert!(piece(one.body_mut()).await.unwrap().is_err(), "it breaks off");
    assert!((100..110).contains(&begin.elapsed().as_millis()));
    assert_eq!((endpoint.stats().soft_rejects, busy().await.status().as_u16()), (1, 200));
    drop(two);
    assert_eq!(endpoint.stats().soft_rejects, 0, "nor longer than its client is there");
    // A client that never takes the block is dropped after the write timeout, and is not a session.
    let (_three, _four) = (busy().await, busy().await);
    assert_eq!((busy().await.status().as_u16(), endpoint.session_count()), (503, 0));
    pass(Duration::from_secs(4)).await;
    assert_eq!(busy().await.status(), 200);
    assert_eq!(endpoint.stats().soft_rejected, 6);
}

#[tokio::test(start_paused = true)]
async fn wire_drain_waits_for_earlier_soft_rejects_only() {
    let app = App::new();
    let endpoint = app.builder().drain_timeout(Duration::from_secs(5)).build();
    let mut early = get("/busy?transport=sse").to(&endpoint).await.into_body();
    let drain = tokio::spawn(endpoint.drain());
    pass(Duration::from_millis(50)).await;
    assert!(!drain.is_finished(), "its block is not taken");
    assert!(piece(&mut early).await.unwrap().is_ok());
    // A client that connects during the drain gets the block as well, and the drain does not wait for it.
    let late = get("/events?transport=sse").to(&endpoint).await;
    assert_eq!((late.status().as_u16(), endpoint.stats().soft_rejects), (200, 2));
    assert!(piece(&mut early).await.unwrap().is_err());
    pass(Duration::from_millis(1)).await;
    assert!(drain.is_finished() && endpoint.stats().soft_rejects == 1);
}

#[tokio::test]
async fn wire_text_for_the_client_is_sent_and_text_for_the_log_is_not() {
    // The text of a rejection for the client is sent unchanged; the text for the log is not sent.
    for (rejection, status, reported) in [
        (Rejection::invalid("no \"such\" thing\n"), 400, r#"{"error":"no \"such\" thing\n"}"#),
        (Rejection::internal("password=hunter2"), 500, r#"{"error":"internal error"}"#),
    ] {
        let endpoint = tidings::Endpoint::new(move |_| {
            let rejection = rejection.clone();
            async { Err::<tidings::subscriber::BoxSubscriber, _>(rejection) }
        });
        let response = get("/events").to(&endpoint).await;
        assert_eq!((response.status().as_u16(), &*text(response).await), (status, reported));
    }
}
