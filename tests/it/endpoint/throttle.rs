//! Throttled sessions: what waits for the interval, and what does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tidings::subscriber::{Delivery, EncodedDelivery, Format, SubscriberInfo};
use tidings::{
    Accepted, Body, BodyError, Cursor, EndReason, Endpoint, Event, Gap, LocalHub, Overflow, Publisher, Rejection,
    Retention, Session, SessionEnd, Snapshot, SubscribeRequest, Subscriber, Subscription, Topic, Transport,
};
use tokio::time::Instant;

use crate::support::http::{App, TestClient, pass, piece, stream};

pub(super) const SECOND: Duration = Duration::from_secs(1);
/// One tick of the timer wheel and one of tokio's timer.
pub(super) const SLACK: Duration = Duration::from_millis(6);
const STREAMS: [Transport; 3] = [Transport::Sse, Transport::Chunked, Transport::WebSocket];

/// Returns the next piece of a stream.
pub(super) async fn next(body: &mut Body) -> String {
    piece(body).await.unwrap().unwrap()
}

/// A subscription that counts its calls.
struct Counted(Subscription, Arc<Calls>);

#[derive(Default)]
struct Calls {
    polls: AtomicUsize,
    looks: AtomicUsize,
    releases: AtomicUsize,
}

impl Calls {
    /// Returns the number of polls and of other calls since the last call.
    fn take(&self) -> (usize, usize) {
        (self.polls.swap(0, Ordering::Relaxed), self.looks.swap(0, Ordering::Relaxed))
    }
}

impl Subscriber for Counted {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Delivery> {
        self.1.polls.fetch_add(1, Ordering::Relaxed);
        self.0.poll_next(cx)
    }

    fn poll_encoded(&mut self, cx: &mut Context<'_>, format: &dyn Format, max: usize) -> Poll<EncodedDelivery> {
        self.1.polls.fetch_add(1, Ordering::Relaxed);
        self.0.poll_encoded(cx, format, max)
    }

    fn register(&mut self, cx: &mut Context<'_>) -> bool {
        self.1.looks.fetch_add(1, Ordering::Relaxed);
        self.0.register(cx)
    }

    fn cursor(&self) -> Option<Cursor> {
        self.0.cursor()
    }

    fn release(&mut self) {
        self.1.releases.fetch_add(1, Ordering::Relaxed);
        self.0.release();
    }

    fn info(&self) -> SubscriberInfo<'_> {
        self.1.looks.fetch_add(1, Ordering::Relaxed);
        self.0.info()
    }
}

/// Returns a hub, its endpoint, whose sessions have this interval, and the calls of their subscribers.
fn counted(interval: Duration) -> (LocalHub, Endpoint, Arc<Calls>) {
    let (hub, calls) = (LocalHub::new(), Arc::<Calls>::default());
    let (own, counts) = (hub.clone(), calls.clone());
    let endpoint = Endpoint::new(move |request: SubscribeRequest| {
        let subscription = own.subscribe(request.subscribe_to(["news"]));
        let counts = counts.clone();
        async move { Ok::<_, Rejection>(Accepted::new(Counted(subscription?, counts)).with_throttle(interval)) }
    });
    (hub, endpoint, calls)
}

#[tokio::test(start_paused = true)]
async fn events_in_the_interval_neither_poll_the_subscriber_nor_wake_the_session_again() {
    for transport in STREAMS {
        let (hub, endpoint, calls) = counted(10 * SECOND);
        let client = TestClient::open(&endpoint, transport, "/").await;
        hub.publish_now("news", "first").unwrap();
        pass(SECOND).await;
        assert!(client.text().contains("first"), "{transport:?}: {}", client.text());
        calls.take();
        // The history that it read is not held while it waits.
        assert!(calls.releases.load(Ordering::Relaxed) > 0);
        for number in 0..500 {
            hub.publish_now("news", format!("<{number}>")).unwrap();
            pass(Duration::from_millis(10)).await;
        }
        let (polls, looks) = calls.take();
        assert_eq!(polls, 0, "{transport:?}");
        assert!(looks <= 4, "{transport:?}: woken {looks} times");
        assert!(!client.text().contains("<0>"));
        pass(5 * SECOND).await;
        assert!((0..500).all(|number| client.text().contains(&format!("<{number}>"))), "{transport:?}");
        assert!(calls.take().0 < 20, "{transport:?}");
    }
}

/// The head of the hub, at which a delivery ends, is then behind the last event of the session's topic.
#[tokio::test(start_paused = true)]
async fn interval_begins_though_other_topics_have_newer_events() {
    for transport in STREAMS {
        let (hub, endpoint, _) = counted(10 * SECOND);
        let client = TestClient::open(&endpoint, transport, "/").await;
        for topic in ["news", "other"] {
            hub.publish_now(topic, "first").unwrap();
        }
        pass(SECOND).await;
        assert!(client.text().contains("first"), "{transport:?}");
        hub.publish_now("news", "second").unwrap();
        pass(8 * SECOND).await;
        assert!(!client.text().contains("second"), "{transport:?}");
        pass(2 * SECOND).await;
        assert!(client.text().contains("second"), "{transport:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn keep_alives_are_sent_in_the_interval() {
    let app = App::new();
    let endpoint = app.builder().keep_alive(2 * SECOND).build();
    let mut body = stream(&endpoint, "/?transport=chunked&throttle=60000").await;
    app.publish("first");
    assert!(next(&mut body).await.contains("first"));
    let begin = Instant::now();
    app.publish("second");
    for _ in 0..20 {
        let before = Instant::now();
        assert_eq!(next(&mut body).await, "\n");
        assert!(before.elapsed() <= 2 * SECOND + SLACK, "{:?}", before.elapsed());
    }
    while !next(&mut body).await.contains("second") {}
    assert!((60 * SECOND..60 * SECOND + SLACK).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

/// The interval is longer than the time for pongs, keep-alives and writes.
#[tokio::test(start_paused = true)]
async fn interval_may_be_longer_than_every_timeout() {
    let app = App::new();
    let endpoint = app.builder().write_timeout(SECOND).keep_alive(30 * SECOND).build();
    let mut body = stream(&endpoint, "/?transport=sse&throttle=300000").await;
    for text in ["first", "second"] {
        app.publish(text);
    }
    let mut read = String::new();
    while !read.contains("second") {
        read += &next(&mut body).await;
    }
    assert_eq!((endpoint.session_count(), endpoint.stats().stalled), (1, 0));
    app.publish("third");
    let begin = Instant::now();
    while !read.contains("third") {
        read += &next(&mut body).await;
    }
    assert_eq!(begin.elapsed().as_secs(), 300);
    // A client that asks for more is not stalled while the next delivery waits, and is if it does not take it.
    app.publish("fourth");
    while !read.contains("fourth") {
        read += &next(&mut body).await;
    }
    pass(3 * SECOND).await;
    assert_eq!((endpoint.session_count(), app.end_reason()), (0, SessionEnd::Stalled));
}

#[tokio::test(start_paused = true)]
async fn drain_and_disconnect_send_waiting_events_at_once() {
    for (transport, is_drain) in STREAMS.into_iter().flat_map(|transport| [(transport, true), (transport, false)]) {
        let app = App::new();
        let endpoint = app.endpoint();
        let mut client = TestClient::open(&endpoint, transport, "/?throttle=60000").await;
        for text in ["first", "waits"] {
            app.publish(text);
            pass(SECOND).await;
        }
        assert!(!client.text().contains("waits"));
        match is_drain {
            true => drop(endpoint.drain()),
            false => assert_eq!(endpoint.disconnect_where(|_| true), 1),
        }
        pass(Duration::from_millis(50)).await;
        assert!(client.text().contains("waits"), "{transport:?}: {}", client.text());
        client.finish().await;
        assert_eq!(endpoint.session_count(), 0, "{transport:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn revoked_session_gets_no_waiting_event() {
    for transport in STREAMS {
        let app = App::new();
        let endpoint = app.endpoint();
        let mut client = TestClient::open(&endpoint, transport, "/?throttle=60000").await;
        for text in ["first", "waits"] {
            app.publish(text);
            pass(SECOND).await;
        }
        assert_eq!(endpoint.revoke_where(|_| true), 1);
        client.finish().await;
        assert!(!client.text().contains("waits"), "{transport:?}: {}", client.text());
    }
}

/// The end is announced at once if nothing waits, and else with the events before it.
#[tokio::test(start_paused = true)]
async fn end_of_the_topics_is_delivered() {
    for (transport, waits) in STREAMS.into_iter().flat_map(|transport| [(transport, true), (transport, false)]) {
        let (hub, endpoint, _) = counted(10 * SECOND);
        let mut client = TestClient::open(&endpoint, transport, "/").await;
        hub.publish_now("news", "first").unwrap();
        pass(SECOND).await;
        if waits {
            hub.publish_now("news", "last").unwrap();
            pass(SECOND).await;
        }
        hub.finish(Topic::new("news").unwrap(), EndReason::Done).unwrap();
        let begin = Instant::now();
        while waits && !client.text().contains("last") {
            pass(Duration::from_millis(1)).await;
        }
        assert!(begin.elapsed() <= 8 * SECOND + SLACK, "{transport:?}: {:?}", begin.elapsed());
        client.finish().await;
        assert_eq!((endpoint.session_count(), hub.stats().subscriptions), (0, 0), "{transport:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn session_that_falls_behind_in_its_interval_gets_what_its_overflow_policy_says() {
    for (overflow, expected) in [("gap", "<6>"), ("latest", "<9>"), ("disconnect", "")] {
        let app = App::with_short_history();
        let endpoint = app.endpoint();
        let mut body = stream(&endpoint, &format!("/?transport=chunked&throttle=5000&overflow={overflow}&key=k")).await;
        app.publish("first");
        assert!(next(&mut body).await.contains("first"));
        for number in 0..10 {
            let event = Event::text(format!("<{number}>")).with_key("k").unwrap();
            app.hub.publish_now("news", event).unwrap();
        }
        let begin = Instant::now();
        if overflow == "disconnect" {
            assert_eq!(piece(&mut body).await, Some(Err(BodyError::Ended)));
            drop(body);
            assert_eq!(app.end_reason(), SessionEnd::TooSlow);
        } else {
            let mut read = String::new();
            while !read.contains("<9>") {
                read += &next(&mut body).await;
            }
            assert_eq!(read.contains(r#""gap":{"reason":"overflow""#), overflow == "gap", "{read}");
            assert_eq!(read.contains("<8>"), overflow == "gap", "{read}");
            assert!(read.contains(expected) || overflow == "gap", "{read}");
        }
        assert!((5 * SECOND..6 * SECOND).contains(&begin.elapsed()), "{overflow}: {:?}", begin.elapsed());
    }
}

/// A publisher with a throttle and snapshots, which take a time.
struct Snapshots(LocalHub);

impl Publisher for Snapshots {
    type Subscriber = Subscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
        Ok(Accepted::new(self.0.subscribe(request.subscribe_to(["news"]))?).with_throttle(5 * SECOND))
    }

    async fn snapshot(&self, _: &Session, _: &Gap) -> Option<Snapshot> {
        pass(SECOND).await;
        Some(Snapshot::new([(Topic::new("news").unwrap(), "<state>".into())]).with_cursor(self.0.cursor()))
    }
}

#[tokio::test(start_paused = true)]
async fn gap_and_its_snapshot_are_one_delivery() {
    let hub = LocalHub::builder().retain(Retention::count(2)).live_buffer(0).build();
    let endpoint = Endpoint::new(Snapshots(hub.clone()));
    let mut body = stream(&endpoint, "/?transport=chunked").await;
    hub.publish_now("news", "first").unwrap();
    assert!(next(&mut body).await.contains("first"));
    for number in 0..9 {
        hub.publish_now("news", format!("<{number}>")).unwrap();
    }
    let begin = Instant::now();
    let mut read = next(&mut body).await;
    assert!(read.contains(r#""snapshot":true"#), "{read}");
    while !read.contains("<state>") {
        read += &next(&mut body).await;
    }
    // The interval, and the time of the snapshot.
    assert!((6 * SECOND..6 * SECOND + 2 * SLACK).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    let begin = Instant::now();
    hub.publish_now("news", "later").unwrap();
    while !read.contains("later") {
        read += &next(&mut body).await;
    }
    assert!((5 * SECOND..5 * SECOND + SLACK).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn zero_and_endless_intervals_are_accepted() {
    for interval in [Duration::ZERO, Duration::MAX] {
        let (hub, endpoint, _) = counted(interval);
        let mut body = stream(&endpoint, "/?transport=chunked").await;
        for text in ["first", "second"] {
            hub.publish_now("news", text).unwrap();
            if text == "first" || interval.is_zero() {
                assert!(next(&mut body).await.contains(text));
            }
        }
        let wait = tokio::time::timeout(SECOND, next(&mut body)).await;
        assert!(wait.is_err(), "{interval:?}: {wait:?}");
    }
}

/// The newest event of each key, and only that.
#[tokio::test(start_paused = true)]
async fn latest_delivers_the_newest_event_of_each_key() {
    let hub = LocalHub::new();
    let endpoint = Endpoint::from_fn(&hub, async |request| {
        let prices = request.subscribe_to(["prices"]).overflow(Overflow::Latest);
        Ok(Accepted::new(prices).with_throttle(SECOND))
    });
    let mut body = stream(&endpoint, "/?transport=chunked").await;
    let publish = |key: &str, price: u32| {
        hub.publish_now("prices", Event::text(format!("{key}={price}")).with_key(key).unwrap()).unwrap();
    };
    publish("a", 0);
    assert!(next(&mut body).await.contains("a=0"));
    for price in 1..100 {
        publish("a", price);
        publish("b", price);
        pass(Duration::from_millis(5)).await;
    }
    let mut read = String::new();
    while read.matches("data").count() < 2 {
        read += &next(&mut body).await;
    }
    assert!(read.contains("a=99") && read.contains("b=99"), "{read}");
    assert_eq!(endpoint.sessions()[0].events, 3);
}
