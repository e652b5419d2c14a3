//! Rows 37 and 38: changes of topics and renewals of an authorization.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tidings::{
    Accepted, Endpoint, EndpointBuilder, Event, LocalHub, Message, Publisher, Rejection, Session, SessionEnd,
    SessionId, SubscribeRequest, Subscription, Transport,
};

use crate::support::http::{TestClient, pass, settle};

/// An application whose topic `secret` is forbidden, and whose renewals have no answer.
#[derive(Clone)]
struct Guarded(Arc<Inner>);

#[derive(Default)]
struct Inner {
    hub: LocalHub,
    calls: AtomicUsize,
    messages: AtomicUsize,
    renewals: AtomicUsize,
    left: Mutex<Vec<SessionEnd>>,
}

impl Guarded {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn builder(&self) -> EndpointBuilder {
        // The clients answer no ping.
        Endpoint::builder(self.clone()).ping(Duration::MAX, Duration::from_secs(10))
    }

    fn publish(&self, topic: &str, text: &str) {
        self.0.hub.publish_now(topic, text).unwrap();
    }

    fn calls(&self) -> usize {
        self.0.calls.load(Ordering::Relaxed)
    }
}

impl Publisher for Guarded {
    type Subscriber = Subscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        if request.topics().iter().any(|topic| topic.as_str() == "secret") {
            return Err(Rejection::Forbidden);
        }
        let subscription = self.0.hub.subscribe(request.subscribe_to(request.topics()))?;
        let accepted = Accepted::new(subscription);
        Ok(match request.query("lifetime").filter(|_| request.session().is_none()) {
            Some(millis) => accepted.with_lifetime(Duration::from_millis(millis.parse()?)),
            None => accepted,
        })
    }

    async fn receive(&self, _: &SubscribeRequest, _: Message) -> Result<Option<Event>, Rejection> {
        self.0.messages.fetch_add(1, Ordering::Relaxed);
        Ok(None)
    }

    async fn renew(&self, _: &Session) -> Option<Duration> {
        self.0.renewals.fetch_add(1, Ordering::Relaxed);
        pending().await
    }

    fn left(&self, _: &Session, why: SessionEnd) {
        self.0.left.lock().unwrap().push(why);
    }
}

fn change(topics: &[&str]) -> String {
    json!({ "tidings": "topics", "topics": topics }).to_string()
}

fn count(objects: &[Value], member: &str, value: &str) -> usize {
    objects.iter().filter(|object| object[member] == value).count()
}

#[tokio::test(start_paused = true)]
async fn row_37_flood_of_changes_costs_ten_calls_and_then_the_connection() {
    let app = Guarded::new();
    let endpoint = app.builder().build();
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    for number in 0..100 {
        client.send(1, change(&[&format!("t{number}")]).as_bytes()).await;
    }
    let objects = client.objects();
    assert_eq!((app.calls(), client.end()), (11, None));
    assert_eq!((count(&objects, "tidings", "topics"), count(&objects, "code", "busy")), (10, 90));
    client.send(1, change(&["a"]).as_bytes()).await;
    settle().await;
    assert_eq!(client.finish().await, "1008 too many messages");
    assert_eq!((app.calls(), endpoint.session_count(), app.0.hub.stats().subscriptions), (11, 0, 0));
}

/// Refusals are answers, which a client that does not read stops.
#[tokio::test(start_paused = true)]
async fn row_37_flood_of_changes_by_a_client_that_does_not_read_stops() {
    let app = Guarded::new();
    let endpoint = app.builder().max_message_rate(u32::MAX).build();
    let mut client =
        TestClient::open_websocket_of(&endpoint, "/?topic=a", "Sec-WebSocket-Protocol: tidings.v1\r\n", 256).await;
    let name = "n".repeat(100);
    client.stop_reading();
    let sent = tokio::time::timeout(Duration::from_secs(1), async {
        for _ in 0..10_000 {
            client.send(1, change(&[&name]).as_bytes()).await;
        }
    });
    assert!(sent.await.is_err(), "the client's sending stalls");
    assert!(app.calls() <= 11);
}

#[tokio::test(start_paused = true)]
async fn row_37_change_reaches_no_forbidden_topic() {
    let app = Guarded::new();
    let endpoint = app.builder().build();
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    let attempts = [
        change(&["secret"]),
        change(&["a", "secret"]),
        change(&["*"]),
        change(&["**"]),
        change(&["sec*"]),
        r#"{"tidings":"topics","topics":["a"],"topics":["secret"]}"#.to_owned(),
        r#"{"tidings":"topics","topics":["\u0073ecret"]}"#.to_owned(),
    ];
    for attempt in &attempts {
        client.send(1, attempt.as_bytes()).await;
        app.publish("secret", "hunter2");
        settle().await;
    }
    let objects = client.objects();
    assert!(!client.text().contains("hunter2"), "{}", client.text());
    assert_eq!(count(&objects, "tidings", "error"), attempts.len(), "{}", client.text());
    let topics = endpoint.session(SessionId::from(1)).unwrap().session.topics();
    assert_eq!(topics.iter().map(|topic| topic.as_str()).collect::<Vec<_>>(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn row_37_change_names_at_most_as_many_topics_as_a_request() {
    let app = Guarded::new();
    for (max, named, is_made) in [(64, 64, true), (64, 65, false), (2, 3, false), (2, 2, true)] {
        let endpoint = app.builder().max_topics_per_request(max).build();
        let mut client = TestClient::open_objects(&endpoint, "/?topic=a").await;
        let (before, topics) = (app.calls(), (0..named).map(|n| format!("t{n}")).collect::<Vec<_>>());
        let topics: Vec<_> = topics.iter().map(String::as_str).collect();
        client.send(1, change(&topics).as_bytes()).await;
        assert_eq!((app.calls() - before, client.end()), (usize::from(is_made), None), "{named} of {max}");
        assert_eq!(count(&client.objects(), "code", "invalid"), usize::from(!is_made));
    }
}

/// JSON that is deep, or no JSON after all, is a message of the application.
#[tokio::test(start_paused = true)]
async fn row_37_deep_change_is_no_change() {
    let app = Guarded::new();
    let endpoint = app.builder().build();
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    let (open, close) = ("[".repeat(20_000), "]".repeat(20_000));
    for deep in [
        format!(r#"{{"tidings":"topics","topics":{open}{close}}}"#),
        format!(r#"{{"tidings":"topics","topics":{open}"#),
        format!(r#"{{"tidings":"topics","a":{open}{close},"topics":["b"]}}"#),
    ] {
        client.send(1, deep.as_bytes()).await;
    }
    assert_eq!((app.0.messages.load(Ordering::Relaxed), app.calls(), client.end()), (3, 1, None));
}

#[tokio::test(start_paused = true)]
async fn row_38_renewal_that_never_answers_ends_at_the_expiry_and_frees_its_place() {
    for transport in [Transport::Sse, Transport::Chunked, Transport::WebSocket] {
        let app = Guarded::new();
        let endpoint = app.builder().max_concurrent_calls(1).build();
        let mut client = TestClient::open(&endpoint, transport, "/?topic=a&lifetime=300000").await;
        // It is asked 30 to 45 s before.
        pass(Duration::from_secs(271)).await;
        assert_eq!(app.0.renewals.load(Ordering::Relaxed), 1);
        pass(Duration::from_secs(10)).await;
        let other = TestClient::open(&endpoint, Transport::Sse, "/?topic=a").await;
        assert_eq!(endpoint.session_count(), 2, "the call timed out");
        pass(Duration::from_millis(18_990)).await;
        app.publish("a", "in time");
        settle().await;
        pass(Duration::from_millis(10)).await;
        app.publish("a", "too late");
        client.finish().await;
        assert!(client.text().contains("in time") && !client.text().contains("too late"), "{transport:?}");
        assert_eq!(*app.0.left.lock().unwrap(), [SessionEnd::Revoked], "{transport:?}");
        assert!(other.text().contains("too late"));
    }
}

/// On threads: whatever the order, a revoked session stays revoked.
#[tokio::test]
async fn row_38_extension_beside_a_revocation_revives_nothing() {
    for round in 0..50 {
        let app = Guarded::new();
        let endpoint = app.builder().build();
        let client = TestClient::open(&endpoint, Transport::Sse, "/?topic=a&lifetime=300000").await;
        let (id, barrier) = (SessionId::from(1), Arc::new(Barrier::new(3)));
        let threads = [0, 1, 2].map(|number| {
            let (endpoint, barrier) = (endpoint.clone(), barrier.clone());
            thread::spawn(move || {
                barrier.wait();
                match number {
                    0 => endpoint.revoke(id),
                    seconds => endpoint.extend(id, Duration::from_secs(seconds * 1_000)),
                }
            })
        });
        let [revoked, ..] = threads.map(|thread| thread.join().unwrap());
        assert!(revoked && !endpoint.extend(id, Duration::from_secs(1_000)), "{round}");
        app.publish("a", "too late");
        while app.0.left.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(*app.0.left.lock().unwrap(), [SessionEnd::Revoked]);
        assert!(!client.text().contains("too late"));
    }
}
