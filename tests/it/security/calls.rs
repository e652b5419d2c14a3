//! Limits of the publisher's calls under way, in all and for one limit key. A request above the limit gets 503; a
//! WebSocket's message waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use tidings::subscriber::{BoxSubscriber, SubscriberExt};
use tidings::{
    Accepted, Endpoint, EndpointBuilder, Event, LocalHub, Message, Publisher, Rejection, SubscribeRequest, Transport,
};
use tokio::sync::Semaphore;

use crate::support::http::{TestClient, To, get, pass, request, settle};

/// A publisher with calls that wait until the test releases them. `?key=` is the limit key; `/now` and the message
/// `now`
/// return at once.
#[derive(Clone)]
struct WaitingApp(Arc<Inner>);

struct Inner {
    hub: LocalHub,
    released: Semaphore,
    running: AtomicUsize,
    most: AtomicUsize,
    done: AtomicUsize,
}

impl WaitingApp {
    fn new() -> Self {
        let counts = || AtomicUsize::new(0);
        let (running, most, done) = (counts(), counts(), counts());
        Self(Arc::new(Inner { hub: LocalHub::new(), released: Semaphore::new(0), running, most, done }))
    }

    fn builder(&self) -> EndpointBuilder {
        Endpoint::builder(self.clone())
    }

    /// Returns the numbers of calls that are running, that were running at once at most, and that have finished.
    fn counts(&self) -> [usize; 3] {
        [&self.0.running, &self.0.most, &self.0.done].map(|count| count.load(Ordering::Relaxed))
    }

    async fn release(&self, calls: usize) {
        self.0.released.add_permits(calls);
        settle().await;
    }

    async fn work(&self) {
        /// Counts a call down, whether it finishes or is dropped.
        struct Running<'a>(&'a AtomicUsize);

        impl Drop for Running<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }

        let Inner { running, most, done, released, .. } = &*self.0;
        most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        let _running = Running(running);
        released.acquire().await.unwrap().forget();
        done.fetch_add(1, Ordering::Relaxed);
    }
}

impl Publisher for WaitingApp {
    type Subscriber = BoxSubscriber;

    fn limit_key(&self, request: &SubscribeRequest) -> Option<String> {
        request.query("key").map(std::borrow::Cow::into_owned)
    }

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<BoxSubscriber>, Rejection> {
        if request.path() != "/now" {
            self.work().await;
        }
        Ok(self.0.hub.subscribe(request.subscribe_to(["news"]))?.boxed().into())
    }

    async fn receive(&self, _: &SubscribeRequest, message: Message) -> Result<Option<Event>, Rejection> {
        if message != Message::Text("now".into()) {
            self.work().await;
        }
        Ok(None)
    }
}

async fn post(endpoint: &Endpoint, query: &str) -> u16 {
    let post = request("POST", &format!("/now{query}")).header("content-type", "text/plain");
    post.with("now", endpoint).await.status().as_u16()
}

#[tokio::test(start_paused = true)]
async fn websocket_messages_above_the_limit_wait_and_all_arrive() {
    const CLIENTS: usize = 1_500;
    const MAX: usize = 1_024;
    let app = WaitingApp::new();
    let endpoint = app.builder().build();
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut client = TestClient::open_websocket(&endpoint, &format!("/now?number={number}"), 1 << 10).await;
        client.send(1, b"work").await;
        clients.push(client);
    }
    assert_eq!(app.counts(), [MAX, MAX, 0]);
    assert_eq!(post(&endpoint, "").await, 503, "a POST does not wait");
    for step in 1..=CLIENTS / 100 {
        app.release(100).await;
        let running = MAX.min(CLIENTS - step * 100);
        assert_eq!(app.counts(), [running, MAX, step * 100]);
    }
    assert_eq!(post(&endpoint, "").await, 204);
    assert_eq!((endpoint.session_count(), clients.len()), (CLIENTS, CLIENTS), "no connection was closed for it");
}

#[tokio::test(start_paused = true)]
async fn waiting_websocket_message_stops_reads_of_its_connection() {
    let app = WaitingApp::new();
    let endpoint = app.builder().max_concurrent_calls(1).max_message_rate(u32::MAX).build();
    let mut first = TestClient::open_websocket(&endpoint, "/now", 1 << 10).await;
    first.send(1, b"work").await;
    let mut second = TestClient::open_websocket(&endpoint, "/now", 256).await;
    // One message waits for a permit and one for the message before it. Then the pipe fills up.
    let sent = tokio::time::timeout(Duration::from_secs(1), async {
        for _ in 0..10_000 {
            second.send(1, &[b'x'; 100]).await;
        }
    });
    assert!(sent.await.is_err(), "the client's sending stalls");
    assert_eq!(app.counts(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn waiting_websocket_message_is_dropped_with_a_revoked_session() {
    let app = WaitingApp::new();
    let endpoint = app.builder().max_concurrent_calls(1).build();
    let mut first = TestClient::open_websocket(&endpoint, "/now", 1 << 10).await;
    first.send(1, b"work").await;
    let mut second = TestClient::open_websocket(&endpoint, "/now?key=b", 1 << 10).await;
    second.send(1, b"work").await;
    assert_eq!(endpoint.revoke_where(|session| session.key() == Some("b")), 1);
    settle().await;
    assert_eq!(second.end().as_deref(), Some("1008 revoked"));
    second.disconnect().await;
    settle().await;
    assert_eq!(endpoint.session_count(), 1, "its end does not wait for a place");
    app.release(9).await;
    assert_eq!(app.counts(), [0, 1, 1], "the publisher was not given it");
    assert_eq!(post(&endpoint, "").await, 204, "and its place is free");
}

#[tokio::test(start_paused = true)]
async fn waiting_websocket_message_does_not_delay_a_close_or_a_drain() {
    for drains in [false, true] {
        let app = WaitingApp::new();
        let endpoint = app.builder().max_concurrent_calls(1).close_timeout(Duration::from_secs(3)).build();
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = TestClient::open_websocket(&endpoint, "/now", 1 << 10).await;
            client.send(1, b"work").await;
            clients.push(client);
        }
        if drains {
            tokio::spawn(endpoint.drain());
            pass(Duration::from_secs(1)).await;
        }
        for client in clients {
            match drains {
                true => assert_eq!(client.end().as_deref(), Some("1012 restart")),
                false => client.disconnect().await,
            }
        }
        pass(Duration::from_secs(4)).await;
        assert_eq!(endpoint.session_count(), 0);
        assert_eq!(app.counts()[0], 0);
        // Cancelled calls have released their permits.
        assert_eq!(post(&endpoint, "").await, 204);
    }
}

#[tokio::test(start_paused = true)]
async fn subscribe_of_a_key_above_its_share_is_busy_and_others_are_served() {
    // Default: a quarter of 8.
    for (builder, share) in [
        (WaitingApp::new().builder().max_concurrent_calls(8), 2),
        (WaitingApp::new().builder().max_concurrent_calls(8).max_concurrent_calls_per_key(5), 5),
        (WaitingApp::new().builder().max_concurrent_calls(8).max_concurrent_calls_per_key(0), 1),
    ] {
        let endpoint = builder.build();
        let mut waiting = Vec::new();
        for number in 0..share {
            let target = format!("/slow?key=a&transport={}", Transport::ALL[number % 4].as_str());
            waiting.push(tokio::spawn(endpoint.handle(get(&target).body(String::new()).unwrap())));
        }
        settle().await;
        for &transport in Transport::ALL {
            // A full share is full for every call with that key, and for no other key.
            for (query, is_busy) in [("?key=a", true), ("?key=b", false), ("", false)] {
                let mut client = TestClient::open(&endpoint, transport, &format!("/now{query}")).await;
                if !is_busy {
                    assert!(client.end().is_none_or(|end| end == "200"), "{transport:?} {query}");
                    continue;
                }
                let reported = client.finish().await;
                match transport {
                    Transport::Sse => assert!(client.text().contains("tidings.retry"), "{reported}"),
                    _ => assert_eq!(reported, "503", "{transport:?}"),
                }
            }
        }
        assert_eq!(post(&endpoint, "?key=a").await, 204, "messages have places of their own");
        for call in waiting {
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
        }
        assert_eq!(get("/now?key=a").to(&endpoint).await.status(), StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_key_above_its_share_wait_or_are_busy_and_others_are_served() {
    let app = WaitingApp::new();
    let endpoint = app.builder().max_concurrent_calls(8).build();
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = TestClient::open_websocket(&endpoint, "/now?key=a", 1 << 10).await;
        client.send(1, b"work").await;
        clients.push(client);
    }
    assert_eq!(app.counts(), [2, 2, 0]);
    assert_eq!(
        (post(&endpoint, "?key=a").await, post(&endpoint, "?key=b").await, post(&endpoint, "").await),
        (503, 204, 204)
    );
    let mut other = TestClient::open_websocket(&endpoint, "/now?key=b", 1 << 10).await;
    other.send(1, b"work").await;
    assert_eq!(app.counts(), [3, 3, 0]);
    // A cancelled message leaves its place in the queue to the next one.
    clients.remove(2).disconnect().await;
    pass(Duration::from_secs(6)).await;
    app.release(4).await;
    assert_eq!(app.counts(), [1, 3, 4]);
    app.release(1).await;
    assert_eq!(app.counts(), [0, 3, 5]);
    assert_eq!(endpoint.session_count(), 5);
}
