//! Events larger than `max_event`: each transport sends a gap in their place, and the client goes on.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use proptest::prelude::*;
use tidings::endpoint::{RefusalCause, Refused};
use tidings::subscriber::{Delivery, SubscriberExt, from_stream};
use tidings::{
    Accepted, Body, Cursor, Endpoint, Event, Gap, LocalHub, Message, Publisher, Rejection, Retention, Session,
    Snapshot, Start, Subscribe, SubscribeRequest, Subscriber, Subscription, Topic,
};
use tokio::task::yield_now;

use crate::support::http::{
    App, Frame, RawClient, To, frame, get, request, runtime, serve_http1, text, upgrade_request,
};

const MAX: usize = 1_000;
const QUERIES: [&str; 5] =
    ["transport=short-poll", "wait=5", "transport=chunked", "transport=sse", "transport=sse&format=object"];

fn large() -> String {
    "x".repeat(MAX)
}

/// Reads a body until this text, or to its end.
async fn until(body: Body, end: &str) -> String {
    let (mut body, mut read) = (body, String::new());
    while !read.contains(end) {
        let Some(Ok(frame)) = body.frame().await else { break };
        read.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    read
}

fn gap_at(cursor: &str, topic: &str) -> String {
    format!(r#"{{"id":"{cursor}","gap":{{"reason":"too_large","missed":1{topic}}}}}"#)
}

#[tokio::test(start_paused = true)]
async fn event_above_max_event_is_a_gap_and_its_client_goes_on() {
    let app = App::new();
    let endpoint = app.builder().max_event(MAX).build();
    let start = app.publish("start");
    app.publish("before");
    let cursor = app.publish(&large());
    app.publish("after");
    for (nth, query) in QUERIES.into_iter().enumerate() {
        let read = until(get(&format!("/?{query}&cursor={start}")).to(&endpoint).await.into_body(), "after").await;
        let gap = gap_at(&cursor, r#","topic":"news""#);
        let places = ["before", &gap, "after"].map(|part| read.find(part));
        assert!(places.is_sorted() && places[0].is_some() && !read.contains("xx"), "{query}: {read}");
        assert_eq!(endpoint.stats().too_large, nth as u64 + 1);
        // The gap has the event's cursor. A client that resumes there gets the next events and no gap.
        let read = until(get(&format!("/?{query}&cursor={cursor}")).to(&endpoint).await.into_body(), "after").await;
        assert!(read.contains("after") && !read.contains("too_large"), "{query}: {read}");
    }
    assert_eq!(endpoint.session_count(), 0);
}

#[tokio::test]
async fn event_above_max_event_is_a_gap_on_tidings_v1_and_closes_raw_frames() {
    let app = App::new();
    let endpoint = app.builder().max_event(MAX).build();
    let start = app.publish("start");
    let address = serve_http1(&endpoint).await;
    let mut raw = RawClient::connect(address).await;
    raw.send(upgrade_request("/", "")).await;
    raw.head().await;
    let mut objects = RawClient::connect(address).await;
    objects.send(upgrade_request(&format!("/?cursor={start}"), "Sec-WebSocket-Protocol: tidings.v1\r\n")).await;
    objects.head().await;
    objects.frame().await;
    app.publish("before");
    let cursor = app.publish(&large());
    let after = app.publish("after");
    let Frame(_, before) = objects.frame().await;
    assert!(String::from_utf8(before).unwrap().contains("before"));
    assert_eq!(objects.frame().await, Frame::text(&gap_at(&cursor, r#","topic":"news""#)));
    assert_eq!(objects.frame().await, Frame::text(&format!(r#"{{"id":"{after}","topic":"news","data":"after"}}"#)));
    assert_eq!(raw.frame().await, Frame::text("before"));
    assert_eq!(raw.frame().await, Frame::close(1013, "gap"));
}

#[tokio::test(start_paused = true)]
async fn event_of_exactly_max_event_bytes_is_delivered() {
    for query in ["transport=chunked", "transport=sse"] {
        let app = App::new();
        let start = app.publish("start");
        app.publish(&large());
        app.publish("after");
        let ask = |endpoint: Endpoint| async move {
            until(get(&format!("/?{query}&cursor={start}")).to(&endpoint).await.into_body(), "after").await
        };
        let whole = ask.clone()(app.endpoint()).await;
        let len = match query {
            "transport=sse" => whole.split_inclusive("\n\n").find(|block| block.contains("xx")).unwrap().len(),
            _ => whole.split_inclusive('\n').find(|line| line.contains("xx")).unwrap().len(),
        };
        assert!(ask.clone()(app.builder().max_event(len).build()).await.contains("xx"), "{query}: {len}");
        assert!(!ask(app.builder().max_event(len - 1).build()).await.contains("xx"), "{query}: {len}");
    }
}

#[tokio::test(start_paused = true)]
async fn event_above_max_event_is_a_gap_for_patterns_and_for_a_subscriber_of_a_handler() {
    let hub = LocalHub::new();
    let [one, two] = ["orders/1", "orders/2"].map(|name| Topic::new(name).unwrap());
    let start = hub.publish_now(&one, "start").unwrap().cursor().unwrap();
    hub.publish_now(&one, "before").unwrap();
    let cursor = hub.publish_now(&two, large()).unwrap().cursor().unwrap().to_string();
    hub.publish_now(&one, "after").unwrap();
    let endpoint = App::new().builder().max_event(MAX).build();
    for query in QUERIES {
        for what in [Subscribe::patterns(["orders/*"]), Subscribe::topics([&one, &two])] {
            let subscription = hub.subscribe(what.start(Start::After(start))).unwrap();
            let request = get(&format!("/?{query}&cursor={start}")).body(String::new()).unwrap();
            let read = until(endpoint.respond(request, subscription).await.into_body(), "after").await;
            let places = ["before", &gap_at(&cursor, ""), "after"].map(|part| read.find(part));
            assert!(places.is_sorted() && places[0].is_some() && !read.contains("xx"), "{query}: {read}");
        }
    }
}

/// A stream of events that are all ready.
struct Ready(std::vec::IntoIter<Event>);

impl futures_core::Stream for Ready {
    type Item = Event;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Event>> {
        Poll::Ready(self.0.next())
    }
}

#[tokio::test(start_paused = true)]
async fn events_of_a_source_without_cursors_are_measured_one_by_one() {
    // Together the events exceed the limit, in one batch of the source.
    let events = |count: usize| (0..count).map(|number| Event::text(format!("small {number:03}")));
    let endpoint = Endpoint::builder(move |_: SubscribeRequest| async move {
        let all: Vec<_> = events(50).chain([Event::text(large())]).chain(events(50)).collect();
        Ok::<_, Rejection>(from_stream(Topic::new("news").unwrap(), Ready(all.into_iter())))
    })
    .max_event(MAX)
    .build();
    for query in ["transport=short-poll", "transport=chunked", "transport=sse"] {
        let read = until(get(&format!("/?{query}")).to(&endpoint).await.into_body(), "nothing").await;
        assert_eq!(read.matches("small ").count(), 100, "{query}: {read}");
        let (before, after) =
            read.split_once(&gap_at("0.0", "")).unwrap_or_else(|| panic!("{query}: no gap in {read}"));
        assert_eq!((before.matches("small ").count(), after.matches("small ").count()), (50, 50));
        assert!(!read.contains("xx"));
    }
}

/// A publisher with a snapshot of one event of this size.
struct Board {
    hub: LocalHub,
    state: usize,
    begins: bool,
}

impl Board {
    fn state(&self) -> Snapshot {
        let topic = Topic::new("news").unwrap();
        Snapshot::new([(topic.clone(), Event::text("small state")), (topic, Event::text("s".repeat(self.state)))])
    }
}

impl Publisher for Board {
    type Subscriber = Subscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
        let attach = Accepted::new(self.hub.subscribe(request.subscribe_to(["news"]))?);
        Ok(if self.begins { attach.with_snapshot(self.state()) } else { attach })
    }

    async fn snapshot(&self, _: &Session, _: &Gap) -> Option<Snapshot> {
        Some(self.state())
    }

    async fn receive(&self, _: &SubscribeRequest, _: Message) -> Result<Option<Event>, Rejection> {
        Ok(Some(Event::text("s".repeat(self.state))))
    }
}

#[tokio::test(start_paused = true)]
async fn snapshot_with_an_event_above_max_event_is_replaced_by_a_gap() {
    for state in [10, MAX] {
        let fits = state < MAX;
        for query in QUERIES {
            let hub = LocalHub::new();
            let news = Topic::new("news").unwrap();
            hub.publish_now(&news, "retained").unwrap();
            // In place of a gap: the client gets only the gap.
            let board = Board { hub: hub.clone(), state, begins: false };
            let reported = Arc::new(Mutex::new(Vec::new()));
            let log = reported.clone();
            let hook = move |refused: &Refused<'_>| {
                log.lock().unwrap().push((refused.cause(), refused.text().to_owned(), refused.session().is_some()));
            };
            let endpoint = Endpoint::builder(board).max_event(MAX).on_refusal(hook).build();
            let read = until(get(&format!("/?{query}&cursor=0.0")).to(&endpoint).await.into_body(), "retained").await;
            assert!(read.contains(r#""reason":"epoch""#) && read.contains("retained"), "{query}: {read}");
            assert_eq!(read.contains(r#""snapshot":true"#), fits, "{query}: {read}");
            assert_eq!((read.contains("sss"), read.contains("small state")), (fits, fits), "{query}: {read}");
            let text = "snapshot has an event that is too large: max_event is 1000".to_owned();
            let expected = vec![(RefusalCause::Publisher, text, true); usize::from(!fits)];
            assert_eq!(*reported.lock().unwrap(), expected, "{query}: the refusal is reported");
            assert_eq!((endpoint.stats().refused_publisher, endpoint.stats().too_large), (u64::from(!fits), 0));
            // At the beginning: a gap of its own, with the cursor from which the client goes on.
            let endpoint = Endpoint::builder(Board { hub: hub.clone(), state, begins: true }).max_event(MAX).build();
            let target = format!("/?{query}&cursor={}", hub.cursor());
            let body = get(&target).to(&endpoint).await.into_body();
            let cursor = hub.cursor();
            hub.publish_now(&news, "afterwards").unwrap();
            let read = until(body, "afterwards").await;
            let gap = format!(r#"{{"id":"{cursor}","gap":{{"reason":"too_large","missed":null,"topic":"news"}}}}"#);
            assert_eq!((read.contains("sss"), read.contains(&gap)), (fits, !fits), "{query}: {read}");
            assert_eq!(endpoint.stats().too_large, u64::from(!fits));
        }
    }
}

/// Returns an endpoint that answers messages with this payload, its hub, and the texts of its refusals.
fn answering(bytes: usize) -> (Endpoint, LocalHub, Arc<Mutex<Vec<String>>>) {
    let (hub, reported) = (LocalHub::new(), Arc::new(Mutex::new(Vec::new())));
    let log = reported.clone();
    let endpoint = Endpoint::builder(Board { hub: hub.clone(), state: bytes, begins: false })
        .max_event(MAX)
        .on_refusal(move |refused| log.lock().unwrap().push(refused.text().to_owned()))
        .build();
    (endpoint, hub, reported)
}

#[tokio::test]
async fn answer_above_max_event_is_an_internal_rejection() {
    const ENVELOPE: usize = r#"{"data":""}"#.len();
    let error = r#"{"tidings":"error","code":"internal","message":"internal error"}"#;
    for bytes in [10, MAX - ENVELOPE, MAX - ENVELOPE + 1, MAX] {
        let (endpoint, _, reported) = answering(bytes);
        let (answer, fits) = (format!(r#"{{"data":"{}"}}"#, "s".repeat(bytes)), bytes + ENVELOPE <= MAX);
        let response = request("POST", "/").with("hello", &endpoint).await;
        let (status, body) = if fits { (200, &*answer) } else { (500, r#"{"error":"internal error"}"#) };
        assert_eq!((response.status().as_u16(), &*text(response).await), (status, body), "{bytes}");
        let mut client = RawClient::connect(serve_http1(&endpoint).await).await;
        client.send(upgrade_request("/", "Sec-WebSocket-Protocol: tidings.v1\r\n")).await;
        client.head().await;
        client.frame().await;
        client.send(frame(1, b"hello")).await;
        assert_eq!(client.frame().await, Frame::text(if fits { &answer } else { error }), "{bytes}");
        let text = format!("answer has {} bytes: max_event is 1000", bytes + ENVELOPE);
        assert_eq!(reported.lock().unwrap()[..], vec![text; if fits { 0 } else { 2 }]);
    }
}

/// The frame header does not count.
#[tokio::test]
async fn answer_in_a_raw_frame_may_have_max_event_bytes() {
    for bytes in [MAX, MAX + 1] {
        let (endpoint, hub, reported) = answering(bytes);
        let mut client = RawClient::connect(serve_http1(&endpoint).await).await;
        client.send(upgrade_request("/", "")).await;
        client.head().await;
        client.send(frame(1, b"hello")).await;
        if bytes == MAX {
            assert_eq!(client.frame().await, Frame::text(&"s".repeat(bytes)));
            assert_eq!(reported.lock().unwrap()[..], [""; 0]);
        } else {
            while reported.lock().unwrap().is_empty() {
                yield_now().await;
            }
            assert_eq!(reported.lock().unwrap()[..], ["answer has 1001 bytes: max_event is 1000"]);
        }
        hub.publish_now("news", "next").unwrap();
        assert_eq!(client.frame().await, Frame::text("next"), "a client of raw frames gets no other frame");
    }
}

#[tokio::test]
async fn gap_for_max_event_names_the_topic_of_an_event_after_a_snapshot() {
    // The endpoint itself encodes the events after a snapshot without a cursor, one batch at a time.
    let hub = LocalHub::builder().retain(Retention::count(10)).build();
    let news = Topic::new("news").unwrap();
    hub.publish_now(&news, "retained").unwrap();
    let cursor = hub.publish_now(&news, large()).unwrap().cursor().unwrap().to_string();
    hub.publish_now(&news, "after").unwrap();
    let endpoint = Endpoint::builder(Board { hub, state: 10, begins: false }).max_event(MAX).build();
    let read = until(get("/?transport=chunked&cursor=0.0").to(&endpoint).await.into_body(), "after").await;
    let gap = gap_at(&cursor, r#","topic":"news""#);
    let places = ["small state", "retained", &gap, "after"].map(|part| read.find(part));
    assert!(places.is_sorted() && places[0].is_some() && !read.contains("xx"), "{read}");
}

/// A subscriber that encodes by the trait's default method.
struct Plain(Subscription);

impl Subscriber for Plain {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        self.0.poll_next(cx)
    }

    fn cursor(&self) -> Option<Cursor> {
        self.0.cursor()
    }
}

proptest! {
    #![proptest_config(crate::support::cases(48))]

    /// For any limits, a client that polls at the cursors of its replies reaches the head, and gets each event, or a
    /// gap in
    /// its place.
    #[test]
    fn polls_at_any_max_event_reach_the_head_without_loss(
        sizes in prop::collection::vec(0_usize..400, 1..12),
        max in 60_usize..500,
        batch in 1_usize..2_000,
        plain: bool,
    ) {
        let runtime = runtime();
        let (hub, news) = (LocalHub::new(), Topic::new("news").unwrap());
        let start = hub.publish_now(&news, "start").unwrap().cursor().unwrap();
        let expected: Vec<_> = sizes
            .iter()
            .map(|size| {
                let cursor = hub.publish_now(&news, "x".repeat(*size)).unwrap().cursor().unwrap().to_string();
                let item = format!(r#"{{"id":"{cursor}","topic":"news","data":"{}"}},"#, "x".repeat(*size));
                (cursor, (item.len() <= max).then_some(*size))
            })
            .collect();
        let reader = hub.clone();
        let publisher = move |request: SubscribeRequest| {
            let subscription = reader.subscribe(request.subscribe_to(["news"]));
            async move {
                let subscription = subscription?;
                Ok::<_, Rejection>(if plain { Plain(subscription).boxed() } else { subscription.boxed() })
            }
        };
        let endpoint = Endpoint::builder(publisher).max_event(max).max_batch_bytes(batch).build();
        let (mut cursor, mut seen) = (start.to_string(), Vec::new());
        for _ in 0..=sizes.len() {
            let reply = runtime.block_on(async { text(get(&format!("/?cursor={cursor}")).to(&endpoint).await).await });
            let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
            for item in reply["events"].as_array().unwrap() {
                let id = item["id"].as_str().unwrap().to_owned();
                let size = item["data"].as_str().map(str::len);
                prop_assert!(size.is_some() || item["gap"]["reason"] == "too_large", "{}", item);
                seen.push((id, size));
            }
            cursor = reply["cursor"].as_str().unwrap().to_owned();
        }
        prop_assert_eq!((seen, cursor), (expected, hub.cursor().to_string()));
    }
}
