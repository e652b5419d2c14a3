//! Rows 26 and 28: for every error, a client gets a complete response and nothing is left behind; a panic ends one
//! session
//! alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use proptest::prelude::*;
use tidings::subscriber::{
    BoxSubscriber, Delivery, EncodedBatch, EncodedDelivery, EventRef, Format, Slot, SubscriberExt,
};
use tidings::{
    Accepted, Body, Cursor, Endpoint, Event, LocalHub, Message, Publisher, Rejection, Start, Subscribe,
    SubscribeRequest, Subscriber, Topic,
};
use tokio::task::yield_now;

use crate::support::Task;
use crate::support::http::{
    App, Frame, RawClient, To, frame, get, header, request, runtime, serve_http1, text, upgrade_request,
};

/// Errors that a request can cause: method, target, further headers, and status.
const WRONGS: [(&str, &str, &str, u16); 20] = [
    ("GET", "/events?transport=x", "", 400),
    ("GET", "/events?transport=websocket", "", 426),
    ("GET", "/events?topic=%00", "", 400),
    ("GET", "/events?topic=*", "", 400),
    ("GET", "/events?wait=x", "", 400),
    ("GET", "/events", "Upgrade: websocket\r\n", 400),
    ("GET", "/events", "Sec-WebSocket-Key: x\r\n", 426),
    ("GET", "/events", "Origin: null\r\n", 403),
    ("GET", "/events", "Sec-Fetch-Site: cross-site\r\n", 403),
    ("PUT", "/events", "", 405),
    ("DELETE", "/events", "", 405),
    ("GET", "/unauthorized", "", 401),
    ("GET", "/forbidden", "", 403),
    ("GET", "/absent", "", 404),
    ("GET", "/gone", "", 410),
    ("GET", "/busy", "", 503),
    ("GET", "/broken", "", 500),
    ("GET", "/panic", "", 500),
    ("POST", "/panic", "", 500),
    ("POST", "/forbidden", "", 403),
];

#[tokio::test]
async fn row_26_every_error_is_a_complete_response_and_leaves_nothing_behind() {
    let app = App::new();
    let endpoint = app.builder().max_concurrent_calls(1).build();
    let mut client = RawClient::connect(serve_http1(&endpoint).await).await;
    for round in 0..3 {
        for (method, target, extra, status) in WRONGS {
            client.send(format!("{method} {target} HTTP/1.1\r\nHost: example.com\r\n{extra}\r\n")).await;
            let head = client.head().await;
            assert!(head.starts_with(&format!("http/1.1 {status} ")), "{round} {method} {target} {extra}: {head}");
            assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{head}");
            let body = client.until("}").await;
            assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{head}{body}");
            assert!(body.starts_with(r#"{"error":""#), "{body}");
        }
        // The connection is still open, and the only permit is free.
        client.send("GET /events HTTP/1.1\r\nHost: example.com\r\n\r\n").await;
        assert!(client.head().await.starts_with("http/1.1 200 "));
        client.until("]}").await;
    }
    assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
    let stats = endpoint.stats();
    let refused = stats.refused_request + stats.refused_origin + stats.refused_publisher + stats.refused_busy;
    assert_eq!((refused, stats.subscribed), (3 * WRONGS.len() as u64, 3), "each counted once");
}

/// A request that is dropped at any point releases everything that it held.
#[tokio::test(start_paused = true)]
async fn row_26_request_dropped_at_any_point_releases_everything() {
    let app = App::new();
    let endpoint = app.builder().max_concurrent_calls(1).max_sessions(1).max_soft_rejects(1).build();
    for target in ["/wait", "/events?wait=9", "/events?transport=sse", "/busy?transport=sse", "/panic", "/events"] {
        for polls in 0..3 {
            let mut answer = Box::pin(endpoint.handle(get(target).body(String::new()).unwrap()));
            for _ in 0..polls {
                if let Poll::Ready(mut response) = Task::new().poll(&mut answer) {
                    let _ = Task::new().poll(&mut response.body_mut().frame());
                    break;
                }
            }
            drop(answer);
            let stats = endpoint.stats();
            assert_eq!(
                (endpoint.session_count(), stats.soft_rejects, app.hub.stats().subscriptions),
                (0, 0, 0),
                "{target}"
            );
            assert_eq!(get("/events").to(&endpoint).await.status(), 200, "{target} after {polls} polls");
        }
    }
}

/// A publisher that panics at random, in every function.
#[derive(Clone)]
struct PanickingApp {
    hub: LocalHub,
    random: Arc<RandomPanics>,
}

/// Panics once in `odds` calls, in a fixed pseudo-random order.
struct RandomPanics {
    state: AtomicU32,
    odds: u32,
    panics: AtomicU32,
}

impl RandomPanics {
    fn maybe_panic(&self) {
        let next = |state: u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        let drawn = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap();
        if (drawn >> 8) % self.odds == 0 {
            self.panics.fetch_add(1, Ordering::Relaxed);
            panic!("the application's");
        }
    }

    fn panics(&self) -> u32 {
        self.panics.load(Ordering::Relaxed)
    }
}

impl Publisher for PanickingApp {
    type Subscriber = BoxSubscriber;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<BoxSubscriber>, Rejection> {
        self.random.maybe_panic();
        let subscription = self.hub.subscribe(request.subscribe_to(["news"]))?;
        yield_now().await;
        self.random.maybe_panic();
        Ok(PanickingSubscriber { inner: subscription, random: self.random.clone() }.boxed().into())
    }

    async fn receive(&self, _: &SubscribeRequest, _: Message) -> Result<Option<Event>, Rejection> {
        self.random.maybe_panic();
        yield_now().await;
        self.random.maybe_panic();
        Ok(None)
    }
}

/// A subscriber that panics at random when it is polled and when it encodes.
struct PanickingSubscriber<S> {
    inner: S,
    random: Arc<RandomPanics>,
}

impl<S: Subscriber> Subscriber for PanickingSubscriber<S> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        self.random.maybe_panic();
        self.inner.poll_next(cx)
    }

    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, _: usize) -> Poll<EncodedDelivery> {
        self.poll_next(cx).map(|delivery| match delivery {
            Delivery::Events(batch) => {
                let mut out = BytesMut::new();
                batch.iter().for_each(|event| {
                    self.random.maybe_panic();
                    format.encode(&event, &mut out);
                });
                EncodedDelivery::Events(EncodedBatch::new(out.freeze(), u32::try_from(batch.iter().count()).unwrap()))
            }
            Delivery::Gap(gap) => EncodedDelivery::Gap(gap),
            Delivery::End(end) => EncodedDelivery::End(end),
            other => panic!("unexpected {other:?}"),
        })
    }

    fn cursor(&self) -> Option<Cursor> {
        self.inner.cursor()
    }
}

proptest! {
    #![proptest_config(crate::support::cases(32))]

    /// One call in a hundred panics. Each panic ends one request or one stream, and the counts are those of the others.
    #[test]
    fn row_28_panic_ends_its_own_session_only(seed: u32, acts in prop::collection::vec(0..6_u8, 50..200)) {
        let hub = LocalHub::builder().build();
        let random = Arc::new(RandomPanics { state: AtomicU32::new(seed), odds: 100, panics: AtomicU32::new(0) });
        let endpoint = Endpoint::new(PanickingApp { hub: hub.clone(), random: random.clone() });
        let news = Topic::new("news").unwrap();
        runtime().block_on(async {
            let mut bodies: Vec<(Body, String)> = Vec::new();
            let mut published = 0;
            for act in acts {
                let before = random.panics();
                match act {
                    0 | 1 => {
                        let target = ["/?transport=sse", "/?transport=chunked"][usize::from(act)];
                        let response = get(target).to(&endpoint).await;
                        let panicked = random.panics() != before;
                        assert_eq!(response.status(), if panicked { 500 } else { 200 });
                        if !panicked {
                            bodies.push((response.into_body(), String::new()));
                        }
                    }
                    2 => {
                        let status = get("/?transport=short-poll").to(&endpoint).await.status();
                        assert_eq!(status, if random.panics() != before { 500 } else { 200 });
                    }
                    3 => {
                        let status = request("POST", "/").to(&endpoint).await.status();
                        assert_eq!(status, if random.panics() != before { 500 } else { 204 });
                    }
                    _ => {
                        // No code of a reader runs in the publisher's task.
                        hub.publish_now(&news, format!("<{published}>")).unwrap();
                        published += 1;
                        assert_eq!(random.panics(), before);
                    }
                }
                bodies.retain_mut(|(body, read)| {
                    let before = random.panics();
                    // A panic of a body ends its connection, which carries nothing else.
                    let whole = catch_unwind(AssertUnwindSafe(|| take(body, read))).is_ok();
                    assert_eq!(whole, random.panics() == before);
                    whole
                });
                assert_eq!((endpoint.session_count(), hub.stats().subscriptions), (bodies.len(), bodies.len()));
            }
            // The other clients miss nothing since they connected.
            for (_, read) in &bodies {
                let numbers: Vec<u32> = read.split('<').skip(1).map(|it| it.split('>').next().unwrap().parse().unwrap()).collect();
                let expected: Vec<_> = (published - numbers.len() as u32..published).collect();
                assert_eq!(numbers, expected);
            }
            // All permits have been released.
            drop(bodies);
            let stats = endpoint.stats();
            assert_eq!((endpoint.session_count(), stats.soft_rejects, hub.stats().subscriptions), (0, 0, 0));
        });
    }
}

/// A format of the application in a slot that the hub caches, which panics at random.
struct PanickingFormat(Arc<RandomPanics>);

impl Format for PanickingFormat {
    fn slot(&self) -> Option<Slot> {
        Some(Slot::APPLICATION[0])
    }

    fn encode(&self, event: &EventRef<'_>, out: &mut BytesMut) {
        out.extend_from_slice(b"<");
        self.0.maybe_panic();
        out.extend_from_slice(event.event.payload());
        out.extend_from_slice(b">");
    }
}

proptest! {
    #![proptest_config(crate::support::cases(64))]

    /// Bytes that an encoder wrote before its panic are in no cache: every reader gets every event complete.
    #[test]
    fn row_28_panicking_format_spoils_no_cached_bytes(seed: u32, acts in prop::collection::vec(0..4_usize, 20..120)) {
        let hub = LocalHub::builder().build();
        let random = Arc::new(RandomPanics { state: AtomicU32::new(seed), odds: 9, panics: AtomicU32::new(0) });
        let (format, news, task) = (PanickingFormat(random.clone()), Topic::new("news").unwrap(), Task::new());
        let subscribe = || hub.subscribe(Subscribe::topics([&news]).start(Start::Oldest)).unwrap();
        let mut readers: Vec<_> = (0..3).map(|_| (subscribe(), String::new())).collect();
        let mut published = String::new();
        for act in acts {
            if act == 3 {
                hub.publish_now(&news, format!("{}", published.len())).unwrap();
                published += &format!("<{}>", published.len());
                continue;
            }
            let (reader, read) = &mut readers[act];
            let before = random.panics();
            let polled = catch_unwind(AssertUnwindSafe(|| {
                task.poll(&mut std::future::poll_fn(|cx| reader.poll_encoded(cx, &format, 64)))
            }));
            assert_eq!(polled.is_err(), random.panics() > before);
            match polled {
                // The session would end here, and its client would reconnect.
                Err(_) => readers[act] = (subscribe(), String::new()),
                Ok(Poll::Ready(EncodedDelivery::Events(events))) => *read += std::str::from_utf8(&events.bytes).unwrap(),
                Ok(Poll::Ready(other)) => panic!("unexpected {other:?}"),
                Ok(Poll::Pending) => assert_eq!(*read, published),
            }
            assert!(readers.iter().all(|(_, read)| published.starts_with(&**read)), "{published} {readers:?}");
            assert_eq!(hub.stats().subscriptions, 3);
        }
    }
}

/// Takes everything that is ready of a body.
fn take(body: &mut Body, read: &mut String) {
    while let Poll::Ready(Some(Ok(frame))) = Task::new().poll(&mut body.frame()) {
        let data: Bytes = frame.into_data().unwrap();
        read.push_str(std::str::from_utf8(&data).unwrap());
    }
}

#[tokio::test]
async fn row_28_panic_on_a_websocket_closes_it_with_1011() {
    let app = App::new();
    let endpoint = app.endpoint();
    let address = serve_http1(&endpoint).await;
    let mut healthy = RawClient::connect(address).await;
    healthy.send(upgrade_request("/events", "")).await;
    healthy.head().await;
    for _ in 0..20 {
        let mut client = RawClient::connect(address).await;
        client.send(upgrade_request("/events?say=panic", "")).await;
        client.head().await;
        client.send(frame(1, b"hello")).await;
        assert_eq!(client.frame().await, Frame::close(1011, "internal error"));
        client.send(frame(8, &1011_u16.to_be_bytes())).await;
        assert_eq!(client.until_end().await, "");
        // A WebSocket whose publisher panics before it is opened.
        let mut client = RawClient::connect(address).await;
        client.send(upgrade_request("/panic", "Origin: https://example.com\r\n")).await;
        assert!(client.head().await.starts_with("http/1.1 500 "));
        assert_eq!(client.until("}").await, r#"{"error":"internal error"}"#);
    }
    while endpoint.session_count() > 1 {
        yield_now().await;
    }
    app.publish("one");
    assert_eq!(healthy.frame().await, Frame::text("one"));
    assert_eq!(
        (app.hub.stats().subscriptions, endpoint.stats().refused_publisher),
        (1, 40),
        "20 messages and 20 handshakes"
    );
    // The text of the panic is not sent.
    let response = get("/panic").to(&endpoint).await;
    assert_eq!(header(&response, "content-type"), "application/json");
    assert!(!text(response).await.contains("on request"));
}
