//! Clients that return after the end of a source without cursors: its publisher is not asked again.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use http::StatusCode;
use http_body_util::BodyExt;
use tidings::subscriber::from_stream;
use tidings::{Endpoint, EndpointBuilder, Event, Rejection, Topic};
use tokio::time::Instant;

use super::script::reserved;
use crate::support::http::{Frame, RawClient, To, get, header, piece, request, serve_http1, text, upgrade_request};

/// A stream of two events.
struct Answer(u32);

impl Stream for Answer {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0 += 1;
        Poll::Ready((self.0 <= 2).then(|| Event::text(format!("word {}", self.0))))
    }
}

/// Returns an endpoint that runs the source for each accepted request, and the number of runs.
fn answers() -> (EndpointBuilder, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let builder = Endpoint::builder(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move { Ok::<_, Rejection>(from_stream(Topic::new("answer").unwrap(), Answer(0))) }
    });
    (builder, runs)
}

fn end() -> String {
    format!("{{\"id\":\"{}\",\"end\":{{\"topic\":\"answer\",\"reason\":\"done\"}}}}", reserved())
}

#[tokio::test(start_paused = true)]
async fn source_ends_with_the_reserved_cursor_on_each_wire() {
    let (builder, runs) = answers();
    let endpoint = builder.build();
    let sse = text(get("/?transport=sse").to(&endpoint).await).await;
    let last = format!("event: tidings.end\nretry: 86400000\ndata: {}\nid: {}\n\n", end(), reserved());
    assert!(sse.contains("data: word 2\n\n") && sse.ends_with(&last), "{sse}");
    let chunked = text(get("/?transport=chunked").to(&endpoint).await).await;
    assert!(chunked.ends_with(&format!("\n{}\n", end())), "{chunked}");
    for poll in ["/?transport=short-poll", "/?wait=5"] {
        let reply = text(get(poll).to(&endpoint).await).await;
        assert!(reply.starts_with(&format!("{{\"cursor\":\"{}\"", reserved())), "{reply}");
        assert!(reply.ends_with(&format!("{}],\"end\":true}}", end())), "{reply}");
    }
    let mut socket = RawClient::connect(serve_http1(&endpoint).await).await;
    socket.send(upgrade_request("/", "")).await;
    socket.head().await;
    for expected in [Frame::text("word 1"), Frame::text("word 2"), Frame::close(1000, "finished")] {
        assert_eq!(socket.frame().await, expected);
    }
    assert_eq!(runs.load(Ordering::Relaxed), 5);
}

#[tokio::test(start_paused = true)]
async fn client_with_the_reserved_cursor_does_not_run_the_source_again() {
    let (builder, runs) = answers();
    let endpoint = builder.build();
    let cursor = reserved();
    for target in ["/?transport=sse", "/?transport=sse&format=object", "/?transport=sse&controls=off"] {
        let response = get(target).header("last-event-id", &cursor).to(&endpoint).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(header(&response, "cache-control"), "no-store, no-transform");
        assert_eq!(text(response).await, "");
    }
    // A client that has not seen the block of the end gets it.
    for (target, is_told) in [("/?transport=sse", true), ("/?transport=sse&controls=off", false)] {
        let response = get(&format!("{target}&cursor={cursor}")).to(&endpoint).await;
        let status = if is_told { StatusCode::OK } else { StatusCode::NO_CONTENT };
        assert_eq!(response.status(), status);
        let mut body = response.into_body();
        if is_told {
            let read = piece(&mut body).await.unwrap().unwrap();
            let end = format!("{{\"id\":\"{cursor}\",\"end\":{{}}}}");
            let end = format!("event: tidings.end\nretry: 86400000\ndata: {end}\nid: {cursor}\n\n");
            assert!(read.starts_with(":\nretry: ") && read.ends_with(&end), "{read}");
        }
        assert_eq!(piece(&mut body).await, None);
    }
    for target in ["/?transport=short-poll", "/?wait=20", "/?wait=20&session=tab"] {
        for request in
            [get(&format!("{target}&cursor={cursor}")), get(target).header("if-none-match", format!("\"{cursor}\""))]
        {
            let response = request.to(&endpoint).await;
            assert_eq!((response.status(), header(&response, "tidings-retry-ms")), (StatusCode::OK, "86400000"));
            assert_eq!(header(&response, "etag"), format!("\"{cursor}\""));
            assert_eq!(text(response).await, format!("{{\"cursor\":\"{cursor}\",\"events\":[],\"end\":true}}"));
        }
    }
    let response = get("/").header("prefer", "wait=20").header("last-event-id", &cursor).to(&endpoint).await;
    assert_eq!(header(&response, "preference-applied"), "wait=20");
    let response = get(&format!("/?cursor={cursor}")).header("accept", "application/jsonl").to(&endpoint).await;
    assert_eq!(header(&response, "content-type"), "application/jsonl");
    let hello = format!("{{\"tidings\":\"hello\",\"cursor\":\"{cursor}\",\"heartbeat_ms\":15000}}\n");
    assert_eq!(text(response).await, format!("{hello}{{\"id\":\"{cursor}\",\"end\":{{}}}}\n"));
    let head = |query: &str| request("HEAD", &format!("/?transport=sse{query}"));
    let with_id = head("").header("last-event-id", &cursor).to(&endpoint).await;
    assert_eq!(with_id.status(), StatusCode::NO_CONTENT);
    let with_cursor = head(&format!("&cursor={cursor}")).to(&endpoint).await;
    assert_eq!(with_cursor.status(), StatusCode::OK);
    let stats = endpoint.stats();
    assert_eq!((runs.load(Ordering::Relaxed), stats.subscribed, stats.joined, stats.live()), (0, 0, 0, 0));
    // Another cursor is no end.
    assert_eq!(get("/?transport=sse&cursor=7.0").to(&endpoint).await.status(), StatusCode::OK);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

/// A loop that ignores `end` makes one request in a second. Such polls take places of soft rejects, and are not held without.
#[tokio::test(start_paused = true)]
async fn long_poll_with_the_reserved_cursor_is_held_for_a_second() {
    let target = |wait: &str| format!("/?wait={wait}&cursor={}", reserved());
    let elapsed = async |endpoint: &Endpoint, target: &str| {
        let begin = Instant::now();
        let reply = text(get(target).to(endpoint).await).await;
        assert!(reply.ends_with("\"end\":true}"), "{reply}");
        begin.elapsed().as_millis()
    };
    let second = 1_000..=1_100;
    let endpoint = answers().0.build();
    assert!(second.contains(&elapsed(&endpoint, &target("20")).await));
    assert_eq!(elapsed(&endpoint, &format!("/?transport=short-poll&cursor={}", reserved())).await, 0);
    let slow = answers().0.long_poll_min_wait(Duration::from_secs(5)).build();
    assert!(second.contains(&elapsed(&slow, &target("20")).await));
    assert!(elapsed(&slow, &target("1")).await <= 1_100);
    let full = answers().0.max_soft_rejects(0).build();
    assert_eq!(elapsed(&full, &target("20")).await, 0);
    // A poll that is held takes no place of a soft reject, and a drain does not wait for it.
    let one = answers().0.max_soft_rejects(1).build();
    let mut held = Box::pin(get(&target("20")).to(&one));
    assert!(poll_once(&mut held).is_pending());
    assert_eq!((one.stats().soft_rejects, one.stats().soft_rejected), (0, 0));
    assert_eq!(elapsed(&one, &target("20")).await, 0);
    let begin = Instant::now();
    one.drain().await;
    assert_eq!(begin.elapsed().as_millis(), 0);
    drop(held);
    drop(endpoint.drain());
    assert_eq!(elapsed(&endpoint, &target("20")).await, 0);
    assert_eq!(endpoint.stats().joined, 0);
}

/// Polls a future once.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn websocket_with_the_reserved_cursor_is_closed_with_1000() {
    let (builder, runs) = answers();
    let endpoint = builder.max_soft_rejects(1).build();
    let address = serve_http1(&endpoint).await;
    let target = format!("/?cursor={}", reserved());
    let mut raw = RawClient::connect(address).await;
    raw.send(upgrade_request(&target, "")).await;
    assert!(raw.head().await.starts_with("http/1.1 101 "));
    let begin = Instant::now();
    assert_eq!(raw.frame().await, Frame::close(1000, "finished"));
    assert!(begin.elapsed() >= Duration::from_secs(1));
    // The connection is open until the client answers, and takes the only place.
    let mut other = RawClient::connect(address).await;
    other.send(upgrade_request(&target, "")).await;
    assert!(other.head().await.starts_with("http/1.1 503 "));
    raw.send(crate::support::http::frame(8, &1000_u16.to_be_bytes())).await;
    assert_eq!(raw.until_end().await, "");

    let mut objects = RawClient::connect(address).await;
    objects.send(upgrade_request(&target, "Sec-WebSocket-Protocol: tidings.v1\r\n")).await;
    assert!(objects.head().await.contains("sec-websocket-protocol: tidings.v1"));
    let hello = format!("{{\"tidings\":\"hello\",\"cursor\":\"{}\",\"heartbeat_ms\":25000}}", reserved());
    assert_eq!(objects.frame().await, Frame::text(&hello));
    assert_eq!(objects.frame().await, Frame::text(&format!("{{\"id\":\"{}\",\"end\":{{}}}}", reserved())));
    assert_eq!(objects.frame().await, Frame::close(1000, "finished"));
    assert_eq!((runs.load(Ordering::Relaxed), endpoint.stats().joined), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn reserved_cursor_is_answered_after_the_host_and_origin_checks() {
    let (builder, runs) = answers();
    let endpoint = builder.allowed_hosts(["example.com"]).build();
    let target = format!("/?cursor={}", reserved());
    for transport in ["sse", "chunked", "short-poll", "long-poll"] {
        let target = format!("{target}&transport={transport}");
        let foreign = get(&target).header("origin", "https://evil.example").to(&endpoint).await;
        assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
        let mut elsewhere = get(&target);
        elsewhere.headers_mut().unwrap().insert("host", "evil.example".parse().unwrap());
        assert_eq!(elsewhere.to(&endpoint).await.status(), StatusCode::MISDIRECTED_REQUEST);
    }
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn given_source_of_a_client_with_the_reserved_cursor_is_dropped() {
    let endpoint = Endpoint::new(());
    let request = || get("/?transport=sse").header("last-event-id", reserved()).body(String::new()).unwrap();
    let source = from_stream(Topic::new("answer").unwrap(), Answer(0));
    let response = endpoint.respond(request(), source).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
}
