//! Messages of clients: on listen-only endpoints, rejected ones, and answers to their senders.

use http::StatusCode;
use tidings::{
    Accepted, Endpoint, EndpointBuilder, Event, LocalHub, Message, Publisher, Rejection, SubscribeRequest, Subscription,
};
use tokio::task::yield_now;

use crate::support::http::{App, Frame, RawClient, To, frame, header, request, serve_http1, text, upgrade_request};

const OBJECTS: &str = "Sec-WebSocket-Protocol: tidings.v1\r\n";

/// A publisher that answers a message `name:text` with an event, and others with nothing.
#[derive(Clone)]
struct Echo(LocalHub);

impl Publisher for Echo {
    type Subscriber = Subscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
        Ok(self.0.subscribe(request.subscribe_to(["news"]))?.into())
    }

    async fn receive(&self, _: &SubscribeRequest, message: Message) -> Result<Option<Event>, Rejection> {
        let said = message.as_text().and_then(|text| text.split_once(':'));
        let Some((name, said)) = said else { return Ok(None) };
        Ok(Some(match name {
            "binary" => Event::binary(said.to_owned()),
            _ => Event::text(said).with_name(name).map_err(|error| Rejection::invalid(error.to_string()))?,
        }))
    }
}

fn listen_only() -> (LocalHub, EndpointBuilder) {
    let hub = LocalHub::new();
    let reader = hub.clone();
    let publisher = move |request: SubscribeRequest| {
        let subscription = reader.subscribe(request.subscribe_to(["news"]));
        async { Ok(subscription?) }
    };
    (hub, Endpoint::builder(publisher))
}

async fn open(endpoint: &Endpoint, target: &str, extra: &str) -> RawClient {
    let mut client = RawClient::connect(serve_http1(endpoint).await).await;
    client.send(upgrade_request(target, extra)).await;
    assert!(client.head().await.starts_with("http/1.1 101 "));
    client
}

#[tokio::test]
async fn listen_only_websocket_ignores_and_counts_heartbeats_of_client_libraries() {
    let refusals = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for extra in ["", OBJECTS] {
        let (hub, builder) = listen_only();
        let reported = refusals.clone();
        let endpoint = builder
            .on_refusal(move |_| {
                reported.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            })
            .build();
        let mut client = open(&endpoint, "/", extra).await;
        if !extra.is_empty() {
            client.frame().await;
        }
        for heartbeat in [&b"ping"[..], br#"{"type":"ping"}"#, br#"{"event":"heartbeat"}"#] {
            client.send(frame(1, heartbeat)).await;
        }
        // The server reads the ping after all messages that were sent before it.
        client.send(frame(9, b"?")).await;
        assert_eq!(client.frame().await, Frame(0x8a, b"?".to_vec()));
        assert_eq!((endpoint.stats().ignored_messages, endpoint.session_count()), (3, 1));
        hub.publish_now("news", "an event").unwrap();
        let Frame(0x81, event) = client.frame().await else { panic!("no event") };
        assert!(String::from_utf8(event).unwrap().contains("an event"));
    }
    assert_eq!(refusals.load(std::sync::atomic::Ordering::Relaxed), 0, "an ignored message is no refusal");
}

#[tokio::test]
async fn listen_only_websocket_flood_closes_with_1008() {
    let (_hub, builder) = listen_only();
    let endpoint = builder.max_message_rate(20).build();
    let mut client = open(&endpoint, "/", "").await;
    client.send(frame(1, b"ping").repeat(21)).await;
    assert_eq!(client.frame().await, Frame::close(1008, "too many messages"));
    assert_eq!(endpoint.stats().ignored_messages, 20);
}

#[tokio::test]
async fn listen_only_endpoint_refuses_a_post_with_405() {
    let (_hub, builder) = listen_only();
    let endpoint = builder.build();
    let response = request("POST", "/").with("hello", &endpoint).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header(&response, "allow"), "GET, HEAD, OPTIONS");
    assert_eq!(text(response).await, r#"{"error":"messages are not taken here"}"#);
    assert_eq!((endpoint.stats().refused_publisher, endpoint.stats().ignored_messages), (1, 0));
}

#[tokio::test]
async fn rejected_message_leaves_the_websocket_open_and_is_counted() {
    let app = App::new();
    let endpoint = app.endpoint();
    for (say, error) in [
        ("forbidden", r#"{"tidings":"error","code":"forbidden","message":"forbidden"}"#),
        ("absent", r#"{"tidings":"error","code":"not_found","message":"not found"}"#),
        ("gone", r#"{"tidings":"error","code":"gone","message":"gone"}"#),
        ("busy", r#"{"tidings":"error","code":"busy","message":"busy, retry after 2500 ms","retry_ms":2500}"#),
        ("broken", r#"{"tidings":"error","code":"internal","message":"internal error"}"#),
    ] {
        let refused = endpoint.stats().refused_publisher;
        for extra in ["", OBJECTS] {
            let mut client = open(&endpoint, &format!("/?say={say}"), extra).await;
            if !extra.is_empty() {
                client.frame().await;
            }
            client.send(frame(1, b"hello")).await;
            client.send(frame(9, b"?")).await;
            if !extra.is_empty() {
                assert_eq!(client.frame().await, Frame::text(error), "{say}");
            }
            assert_eq!(client.frame().await, Frame(0x8a, b"?".to_vec()), "{say}: it is open");
        }
        assert_eq!(endpoint.stats().refused_publisher, refused + 2, "{say}");
    }
}

#[tokio::test]
async fn answer_to_a_websocket_message_reaches_its_sender_alone() {
    let endpoint = Endpoint::new(Echo(LocalHub::new()));
    let (mut raw, mut objects) = (open(&endpoint, "/", "").await, open(&endpoint, "/", OBJECTS).await);
    objects.frame().await;
    raw.send(frame(1, b"ack:one")).await;
    assert_eq!(raw.frame().await, Frame::text("one"));
    objects.send(frame(1, b"ack:two")).await;
    objects.send(frame(1, b"nothing")).await;
    objects.send(frame(1, b"binary:x")).await;
    assert_eq!(objects.frame().await, Frame::text(r#"{"event":"ack","data":"two"}"#));
    assert_eq!(objects.frame().await, Frame::text(r#"{"data":"eA==","encoding":"base64"}"#));
    raw.send(frame(9, b"?")).await;
    assert_eq!(raw.frame().await, Frame(0x8a, b"?".to_vec()), "nothing of the other's");
    drop((raw, objects));
    while endpoint.session_count() > 0 {
        yield_now().await;
    }
}

#[tokio::test]
async fn answer_to_a_post_is_its_body() {
    let endpoint = Endpoint::new(Echo(LocalHub::new()));
    for (said, status, body) in [
        ("ack:one", StatusCode::OK, r#"{"event":"ack","data":"one"}"#),
        ("message:<b>", StatusCode::OK, r#"{"data":"<b>"}"#),
        ("binary:x", StatusCode::OK, r#"{"data":"eA==","encoding":"base64"}"#),
        ("nothing", StatusCode::NO_CONTENT, ""),
        ("tidings.x:y", StatusCode::BAD_REQUEST, r#"{"error":"event names that begin with 'tidings.' are reserved"}"#),
    ] {
        let response = request("POST", "/").header("content-type", "text/plain").with(said, &endpoint).await;
        assert_eq!(response.status(), status, "{said}");
        if status == StatusCode::OK {
            assert_eq!(header(&response, "content-type"), "application/json");
            assert_eq!(header(&response, "cache-control"), "no-store, no-transform");
            assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        }
        assert_eq!(text(response).await, body, "{said}");
    }
}

/// A publisher that answers a message when the test notifies it.
#[derive(Clone)]
struct DelayedApp {
    hub: LocalHub,
    begun: std::sync::Arc<tokio::sync::Notify>,
    goes_on: std::sync::Arc<tokio::sync::Notify>,
    /// Rejects the message instead of answering it.
    rejects: bool,
}

impl Publisher for DelayedApp {
    type Subscriber = Subscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
        Ok(self.hub.subscribe(request.subscribe_to(["news"]))?.into())
    }

    async fn receive(&self, _: &SubscribeRequest, _: Message) -> Result<Option<Event>, Rejection> {
        self.begun.notify_one();
        self.goes_on.notified().await;
        match self.rejects {
            true => Err(Rejection::invalid("too late")),
            false => Ok(Some("too late".into())),
        }
    }
}

#[tokio::test]
async fn answer_or_rejection_of_a_revoked_session_is_dropped() {
    for (rejects, revoked_first) in [(false, true), (false, false), (true, true), (true, false)] {
        let slow = DelayedApp { hub: LocalHub::new(), begun: Default::default(), goes_on: Default::default(), rejects };
        let endpoint = Endpoint::new(slow.clone());
        let mut client = open(&endpoint, "/", OBJECTS).await;
        client.frame().await;
        client.send(frame(1, b"hello")).await;
        slow.begun.notified().await;
        let session = endpoint.sessions()[0].session.id();
        // Within one poll of the WebSocket's task, or within two.
        if !revoked_first {
            slow.goes_on.notify_one();
        }
        endpoint.revoke(session);
        if revoked_first {
            assert_eq!(client.frame().await, Frame::close(1008, "revoked"));
            slow.goes_on.notify_one();
            client.send(frame(8, &1008_u16.to_be_bytes())).await;
            assert_eq!(client.until_end().await, "", "no answer after it");
        } else {
            assert_eq!(client.frame().await, Frame::close(1008, "revoked"), "nor before it");
        }
        drop(client);
        while endpoint.session_count() > 0 {
            yield_now().await;
        }
    }
}

/// A publisher that revokes the session of each message, and then answers or rejects the message.
#[derive(Clone)]
struct RevokingApp {
    hub: LocalHub,
    endpoint: std::sync::Arc<std::sync::OnceLock<Endpoint>>,
}

impl Publisher for RevokingApp {
    type Subscriber = Subscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<Subscription>, Rejection> {
        Ok(self.hub.subscribe(request.subscribe_to(["news"]))?.into())
    }

    async fn receive(&self, _: &SubscribeRequest, message: Message) -> Result<Option<Event>, Rejection> {
        let endpoint = self.endpoint.get().unwrap();
        endpoint.revoke(endpoint.sessions()[0].session.id());
        match message.as_text() {
            Some("answer") => Ok(Some("too late".into())),
            Some("closing") => Err(Rejection::invalid("too late").closing()),
            _ => Err(Rejection::invalid("too late")),
        }
    }
}

#[tokio::test]
async fn session_that_its_handler_revokes_gets_no_answer_and_no_rejection() {
    for message in ["answer", "reject", "closing"] {
        let revoking = RevokingApp { hub: LocalHub::new(), endpoint: Default::default() };
        let reported = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = reported.clone();
        let builder = Endpoint::builder(revoking.clone());
        let endpoint = builder.on_refusal(move |refused| seen.lock().unwrap().push(refused.to_string())).build();
        revoking.endpoint.set(endpoint.clone()).unwrap();
        let mut client = open(&endpoint, "/", OBJECTS).await;
        client.frame().await;
        client.send(frame(1, message.as_bytes())).await;
        assert_eq!(client.frame().await, Frame::close(1008, "revoked"), "{message}");
        let reported = reported.lock().unwrap();
        assert_eq!(reported.len(), usize::from(message != "answer"), "{reported:?}");
        assert!(reported.iter().all(|reported| reported.contains("too late")), "{reported:?}");
    }
}
