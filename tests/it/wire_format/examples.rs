//! The fenced blocks of the page, each from the crate.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http::Response;
use http_body_util::BodyExt;
use tidings::subscriber::{BoxSubscriber, Delivery, SubscriberExt};
use tidings::time::TokioTimer;
use tidings::transport::chunked::{ChunkedStream, Heartbeat};
use tidings::transport::sse::SseEncoder;
use tidings::{
    Accepted, Body, Cursor, EndReason, Endpoint, EndpointBuilder, Event, Gap, GapReason, Message, Publisher, Rejection,
    Start, SubscribeRequest, Subscriber, Topic, TopicEnd,
};

use super::page::{PAGE, blocks};
use super::state;
use crate::support::Feed;
use crate::support::http::{RawClient, To, frame, get, piece, request, serve_http1, text, upgrade_request};

/// Returns a source with the three events of the page.
fn news() -> Feed {
    let feed = Feed::new(7);
    feed.event("news", Event::text("42.17").with_name("price").unwrap());
    feed.event("news", Event::json_text(r#"{"price":42.17}"#).unwrap());
    feed.event("news", Event::binary(&[0, 255][..]));
    feed
}

/// Returns a source with an event of a keyed topic and the removal of its key.
fn cars() -> Feed {
    let feed = before(4);
    feed.event("cars", Event::json_text(r#"{"speed":88}"#).unwrap().with_key("42").unwrap());
    feed.event("cars", Event::removal("42").unwrap());
    feed
}

/// Returns a source with the three events and the end of their topic.
fn ending() -> Feed {
    let feed = news();
    feed.last_topic_end("news", EndReason::Done);
    feed
}

/// Returns a source whose next item has this sequence.
fn before(sequence: u64) -> Feed {
    let feed = Feed::new(7);
    (1..sequence).for_each(|_| feed.pass());
    feed
}

/// Application of the page.
struct App(Feed);

impl Publisher for App {
    type Subscriber = BoxSubscriber;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<BoxSubscriber>, Rejection> {
        if request.topics().iter().any(|topic| topic.as_str() == "private") {
            return Err(Rejection::Forbidden);
        }
        let reader = match request.start() {
            Start::After(cursor) => self.0.resume(cursor),
            _ => self.0.reader(),
        };
        Ok(reader.boxed().into())
    }

    async fn receive(&self, _: &SubscribeRequest, message: Message) -> Result<Option<Event>, Rejection> {
        match message.as_bytes() {
            b"busy" => Err(Rejection::Busy { retry_after: Duration::from_millis(1_500) }),
            b"forbidden" => Err(Rejection::Forbidden),
            _ => Ok(Some(Event::json_text(r#"{"version":3}"#)?.with_name("saved")?)),
        }
    }
}

fn builder(feed: &Feed) -> EndpointBuilder {
    let (two, retry) = (Duration::from_secs(2), Duration::from_secs(2));
    Endpoint::builder(App(feed.clone())).short_poll_interval(two..=two).retry(retry..=retry)
}

/// Returns an endpoint that has no room.
fn full() -> Endpoint {
    let retry = Duration::from_millis(1_500);
    builder(&news()).retry(retry..=retry).max_sessions(0).build()
}

/// Returns the head and the body of a response, without the reason of the status.
async fn exchange(endpoint: &Endpoint, query: &str) -> String {
    let response = get(&format!("/events?{query}")).to(endpoint).await;
    let mut text = format!("{:?} {}\n", response.version(), response.status().as_u16());
    for (name, value) in response.headers() {
        text += &format!("{name}: {}\n", value.to_str().unwrap());
    }
    format!("{text}\n{}", whole(response).await)
}

/// Returns a body, with a line end.
async fn whole(response: Response<Body>) -> String {
    let body = String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    if body.ends_with('\n') { body } else { body + "\n" }
}

async fn body(endpoint: &Endpoint, query: &str) -> String {
    whole(get(&format!("/events?{query}")).to(endpoint).await).await
}

/// Returns the pieces of a stream up to the one that contains `end`.
async fn until(endpoint: &Endpoint, query: &str, end: &str) -> String {
    let (mut body, mut read) = (get(&format!("/events?{query}")).to(endpoint).await.into_body(), String::new());
    while !read.contains(end) {
        read += &piece(&mut body).await.unwrap().unwrap();
    }
    read
}

/// Returns a text from the first `begin` on.
fn from(text: &str, begin: &str) -> String {
    text[text.find(begin).unwrap()..].to_owned()
}

/// A subscriber with these deliveries.
struct Script(VecDeque<Delivery>);

impl Subscriber for Script {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Delivery> {
        self.0.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// Returns items of a stream up to their number, in one text.
async fn items(stream: impl Stream<Item = Bytes>, count: usize) -> String {
    let (mut stream, mut all) = (Box::pin(stream), Vec::new());
    for _ in 0..count {
        all.extend(poll_fn(|cx| Pin::as_mut(&mut stream).poll_next(cx)).await.into_iter().flatten());
    }
    String::from_utf8(all).unwrap()
}

/// Returns the lines of NDJSON, without the hello.
async fn lines(subscriber: impl Subscriber, count: usize) -> String {
    let text = items(ChunkedStream::new(subscriber, &TokioTimer::default()), count + 1).await;
    text.split_once('\n').unwrap().1.to_owned()
}

fn gap() -> Gap {
    let gap = Gap::new(GapReason::Evicted, Cursor::new(7, 12)).with_missed(4);
    gap.with_topic(Topic::new("news").unwrap())
}

fn end() -> TopicEnd {
    TopicEnd::new(Topic::new("news").unwrap(), Cursor::new(7, 13), EndReason::Done)
}

/// Returns the block of server-sent events of a delivery.
async fn block(delivery: Delivery) -> String {
    let stream = SseEncoder::new(Script([delivery].into()), &TokioTimer::default()).hello(false);
    from(&items(stream, 2).await, "event: ")
}

/// Opens a WebSocket of `tidings.v1`.
async fn websocket(feed: &Feed) -> RawClient {
    let mut client = RawClient::connect(serve_http1(&builder(feed).build()).await).await;
    client.send(upgrade_request("/events", "Sec-WebSocket-Protocol: tidings.v2, tidings.v1\r\n")).await;
    let head = client.head().await;
    assert!(head.contains("\r\nsec-websocket-protocol: tidings.v1\r\n"), "the offer of the page: {head}");
    client
}

/// Returns the answer to a change of topics, after `hello` and the three events of the page.
async fn answer_to_change(change: &str) -> String {
    let mut client = websocket(&news()).await;
    for _ in 0..4 {
        client.frame().await;
    }
    client.send(frame(1, change.as_bytes())).await;
    String::from_utf8(client.frame().await.1).unwrap() + "\n"
}

/// Returns the frames of a WebSocket, after messages, up to this number.
async fn frames(feed: &Feed, messages: &[&str], count: usize) -> String {
    let mut client = websocket(feed).await;
    for message in messages {
        client.send(frame(1, message.as_bytes())).await;
    }
    let mut all = String::new();
    for _ in 0..count {
        let frame = client.frame().await;
        all += &match frame.0 {
            0x81 => format!("text {}\n", std::str::from_utf8(&frame.1).unwrap()),
            0x88 => {
                let code = u16::from_be_bytes([frame.1[0], frame.1[1]]);
                format!("close {code} {}\n", std::str::from_utf8(&frame.1[2..]).unwrap())
            }
            other => panic!("{other:x}"),
        };
    }
    all
}

/// Returns the first ping of a WebSocket and its answer, after which the session has acknowledged its cursor.
async fn pings() -> String {
    let endpoint = builder(&news()).build();
    let mut client = RawClient::connect(serve_http1(&endpoint).await).await;
    client.send(upgrade_request("/events", "Sec-WebSocket-Protocol: tidings.v1\r\n")).await;
    client.head().await;
    let payload = loop {
        let frame = client.frame().await;
        if frame.0 == 0x89 {
            break frame.1;
        }
    };
    client.send(frame(10, &payload)).await;
    let payload = format!("{:02x} {}", payload[0], std::str::from_utf8(&payload[1..]).unwrap());
    loop {
        let acknowledged = endpoint.sessions()[0].acknowledged;
        match acknowledged {
            None => tokio::task::yield_now().await,
            Some(cursor) => {
                assert!(payload.ends_with(&cursor.to_string()), "{payload} {cursor}");
                return format!("ping {payload}\npong {payload}\n");
            }
        }
    }
}

/// Message of a client that changes its topics.
const CHANGE: &str = r#"{"tidings":"topics","topics":["news","alerts"]}"#;

async fn objects() -> Vec<(&'static str, String)> {
    let gaps = [
        gap(),
        Gap::new(GapReason::Epoch, Cursor::new(7, 12)),
        Gap::new(GapReason::Evicted, Cursor::new(0, 0)).with_snapshot(),
    ];
    let last = before(13);
    let cursor = last.last_topic_end("news", EndReason::Done);
    let mut byes = ChunkedStream::new(news().reader(), &TokioTimer::default());
    byes.finish(Duration::from_millis(1_500));
    let quiet = news();
    quiet.pass();
    let beats = ChunkedStream::new(quiet.reader(), &TokioTimer::default()).heartbeat(Heartbeat::Visible);
    let private = r#"{"tidings":"topics","topics":["private"]}"#;
    let errors = frames(&Feed::new(7), &["busy", "forbidden", private], 4).await;
    vec![
        ("event", lines(news().reader(), 1).await),
        ("state", state::state().await),
        ("state-gap", state::state_gap().await),
        ("removal", lines(cars().reader(), 1).await),
        ("gap", lines(Script(gaps.map(Delivery::Gap).into()), 3).await),
        ("end", lines(Script([Delivery::TopicEnd(end())].into()), 1).await + &lines(last.resume(cursor), 1).await),
        ("hello", items(ChunkedStream::new(news().reader(), &TokioTimer::default()), 1).await),
        ("heartbeat", from(&items(beats, 3).await, r#"{"tidings":"heartbeat""#)),
        ("bye", from(&items(byes, 9).await, r#"{"tidings":"bye""#)),
        ("error", from(&errors, r#"text {"tidings":"error""#).replace("text ", "")),
        ("topics", answer_to_change(CHANGE).await),
        ("change", format!("{CHANGE}\n")),
        ("answer", whole(request("POST", "/events").with("save", &builder(&news()).build()).await).await),
        ("busy", body(&full(), "transport=chunked&cursor=7.a3").await),
    ]
}

async fn exchanges() -> Vec<(&'static str, String)> {
    let (events, ended) = (builder(&news()).build(), builder(&ending()).build());
    let quiet = news();
    quiet.pass();
    let quiet = builder(&quiet).build();
    vec![
        ("short-poll", exchange(&events, "transport=short-poll").await),
        ("more", body(&builder(&news()).max_batch_bytes(1).build(), "transport=short-poll").await),
        ("poll-end", body(&ended, "transport=short-poll&cursor=7.a3").await),
        ("ndjson", exchange(&ended, "transport=chunked").await),
        ("sse", exchange(&ended, "transport=sse").await),
        (
            "tidings.heartbeat",
            from(&until(&quiet, "transport=sse&heartbeat=visible", "id: 7.a4").await, "event: tidings.heartbeat"),
        ),
        (
            "tidings.removed",
            from(&until(&builder(&cars()).build(), "transport=sse", "id: 7.a5").await, "event: tidings.removed"),
        ),
        ("tidings.gap", block(Delivery::Gap(gap())).await),
        ("tidings.topic_end", block(Delivery::TopicEnd(end())).await),
        ("tidings.retry", until(&full(), "transport=sse&cursor=7.a3", "\n\n").await),
        ("sse-objects", from(&until(&events, "transport=sse&format=object", "id: 7.a3").await, r#"data: {"id""#)),
        ("controls-off", body(&ended, "transport=sse&controls=off").await),
        ("returned", body(&ended, "transport=sse&cursor=7.a4").await),
        ("tidings.v1", frames(&ending(), &[], 6).await),
        ("ping", pings().await),
    ]
}

/// The time is virtual, so that keep-alives come at once.
#[tokio::test(start_paused = true)]
async fn each_example_of_the_page_is_what_the_crate_sends() {
    let reported = blocks(PAGE);
    let sent: BTreeMap<_, _> = objects().await.into_iter().chain(exchanges().await).collect();
    for (name, text) in &sent {
        assert_eq!(reported.get(*name), Some(text), "{name}");
    }
    let unknown: Vec<_> = reported.keys().filter(|name| *name != "abnf" && !sent.contains_key(name.as_str())).collect();
    assert!(unknown.is_empty(), "examples that nothing produces: {unknown:?}");
}

/// A client that reconnects after the end receives the documented status or reply.
#[tokio::test(start_paused = true)]
async fn client_that_returns_after_the_end_gets_a_status_or_reply() {
    let ended = builder(&ending()).build();
    for cursor in ["7.a4", "0.a1"] {
        let event_source = get("/events?transport=sse").header("last-event-id", cursor).to(&ended).await;
        assert_eq!((event_source.status().as_u16(), text(event_source).await), (204, String::new()), "{cursor}");
        let without = get(&format!("/events?transport=sse&controls=off&cursor={cursor}")).to(&ended).await;
        assert_eq!(without.status().as_u16(), 204, "{cursor}");
        for (poll, held) in [("short-poll", 0), ("long-poll&wait=9", 1)] {
            let begin = tokio::time::Instant::now();
            let reply = body(&ended, &format!("transport={poll}&cursor={cursor}")).await;
            assert_eq!(reply, format!("{{\"cursor\":\"{cursor}\",\"events\":[],\"end\":true}}\n"), "{poll}");
            assert_eq!(begin.elapsed().as_secs(), held, "{poll}");
        }
    }
}
