//! Spans of sessions.

use std::future::{Future, ready};
use std::net::SocketAddr;

use http::HeaderValue;
use tidings::Topic;
use tidings::server::PeerAddr;
use tidings::{
    Accepted, Endpoint, LocalHub, Publisher, Rejection, Session, SessionEnd, SubscribeRequest, Subscription,
};
use tracing::Level;

use crate::capture::{Capture, Fields};
use crate::client::{Client, ask, get};

/// Returns these fields of a span.
fn of<'a>(fields: &'a Fields, names: &[&str]) -> Vec<&'a str> {
    names.iter().map(|name| fields.get(*name).map_or("-", |value| value)).collect()
}

/// Publisher that emits an event in `joined` and in `left`.
struct Hooked(LocalHub);

impl Publisher for Hooked {
    type Subscriber = Subscription;

    fn subscribe(
        &self,
        request: SubscribeRequest,
    ) -> impl Future<Output = Result<Accepted<Subscription>, Rejection>> + Send {
        ready(self.0.subscribe(request.subscribe_to(["news"])).map(Accepted::new).map_err(Rejection::from))
    }

    fn joined(&self, _: &Session) {
        tracing::info!(target: "test", "joined");
    }

    fn left(&self, _: &Session, _: SessionEnd) {
        tracing::info!(target: "test", "left");
    }
}

#[test]
fn session_has_one_span_with_its_facts_and_counts() {
    let capture = Capture::default();
    capture.run(async {
        let hub = LocalHub::new();
        let events = Endpoint::public(&hub, ["news"]);
        let cursor = hub.publish_now("news", "1").unwrap().cursor().unwrap();
        hub.publish_now("news", "2").unwrap();
        hub.publish_now("news", "third").unwrap();
        let peer: SocketAddr = "192.0.2.7:51000".parse().unwrap();
        let request = get(&format!("/?transport=sse&session=phone&cursor={cursor}"))
            .header("user-agent", "curl/8")
            .extension(PeerAddr(peer));
        let mut client = Client::open(&events, request).await;
        client.read("third").await;

        let [span] = &capture.spans()[..] else { panic!("{:?}", capture.spans()) };
        let facts =
            of(&span.fields, &["session", "transport", "topics", "peer", "name", "user_agent", "behind", "end"]);
        assert_eq!(facts, ["1", "sse", "news", "192.0.2.7:51000", "phone", "curl/8", "2", "-"]);
        assert_eq!((span.target, span.name.as_str(), span.level), ("tidings::session", "session", Level::INFO));

        tokio::time::advance(std::time::Duration::from_millis(1_500)).await;
        let info = events.sessions().remove(0);
        drop(client);
        let [span] = &capture.spans()[..] else { panic!("{:?}", capture.spans()) };
        let counts = of(&span.fields, &["end", "events", "gaps", "missed", "duration_ms"]);
        assert_eq!(counts, ["gone", "2", "0", "0", "1500"]);
        assert_eq!(span.fields["bytes"], info.bytes.to_string());
        assert_eq!(span.handles, 0, "the span is closed");
    });
    let events: Vec<_> = capture.events().into_iter().map(|event| (event.name, event.level, event.within)).collect();
    let event = |text: &str| (text.to_owned(), Level::DEBUG, Some(1));
    assert_eq!(events, [event("session began"), event("session ended")]);
}

#[test]
fn session_without_facts_has_a_span_without_their_fields() {
    let capture = Capture::default();
    capture.run(async {
        let events = Endpoint::public(&LocalHub::new(), ["news"]);
        drop(Client::open(&events, get("/?transport=chunked")).await);
    });
    let [span] = &capture.spans()[..] else { panic!("{:?}", capture.spans()) };
    let names = ["peer", "name", "user_agent", "behind", "end"];
    assert_eq!(of(&span.fields, &names), ["-", "-", "-", "-", "gone"]);
}

#[test]
fn unexpected_end_is_an_event_at_info() {
    let capture = Capture::default();
    capture.run(async {
        let events = Endpoint::public(&LocalHub::new(), ["news"]);
        let client = Client::open(&events, get("/?transport=chunked")).await;
        assert_eq!(events.revoke_where(|_| true), 1);
        drop(client);
    });
    let ends: Vec<_> = capture.events().into_iter().filter(|event| event.name == "session ended").collect();
    assert_eq!((ends.len(), ends[0].level), (1, Level::INFO));
    assert_eq!(capture.spans()[0].fields["end"], "revoked");
}

#[test]
fn span_of_a_request_is_closed_while_its_session_lives() {
    let capture = Capture::default();
    capture.run(async {
        let events = Endpoint::new(Hooked(LocalHub::new()));
        let request = tracing::info_span!(target: "test", "request");
        let entered = request.enter();
        let client = Client::open(&events, get("/?transport=sse")).await;
        drop(entered);
        drop(request);
        let [request, session] = &capture.spans()[..] else { panic!("{:?}", capture.spans()) };
        assert_eq!((request.name.as_str(), request.handles), ("request", 0));
        assert!(session.is_root && session.handles > 0, "{session:?}");
        drop(client);
    });
    let hooks: Vec<_> = capture.events().into_iter().filter(|event| event.target == "test").collect();
    let hooks: Vec<_> = hooks.iter().map(|event| (event.name.as_str(), event.within)).collect();
    assert_eq!(hooks, [("joined", Some(2)), ("left", Some(2))]);
    assert_eq!(capture.spans()[1].handles, 0);
}

#[test]
fn delivery_calls_no_subscriber() {
    let capture = Capture::default();
    capture.run(async {
        let hub = LocalHub::new();
        let events = Endpoint::public(&hub, ["news"]);
        let mut client = Client::open(&events, get("/?transport=sse")).await;
        hub.publish_now("news", "first").unwrap();
        client.read("first").await;
        let before = capture.calls();
        assert!(before > 0);
        for at in 0..200 {
            let text = format!("event {at} of many");
            hub.publish_now("news", text.as_str()).unwrap();
            client.read(&text).await;
        }
        assert_eq!(capture.calls(), before);
    });
}

#[test]
fn panic_of_the_subscriber_ends_no_session() {
    let capture = Capture::default();
    capture.run(async {
        let hub = LocalHub::new();
        let events = Endpoint::public(&hub, ["news"]);
        capture.panic();
        let mut client = Client::open(&events, get("/?transport=sse")).await;
        hub.publish_now("news", "it is on").unwrap();
        client.read("it is on").await;
        drop(client);
        assert_eq!(ask(&events, get("/?transport=fax")).await.0, 400);
        let stats = events.stats();
        assert_eq!((stats.live(), stats.left_for(SessionEnd::Gone), stats.refused_request), (0, 1, 1));
    });
}

#[test]
fn text_of_a_client_is_escaped_and_cut_in_every_field() {
    let capture = Capture::default();
    let mut random = fastrand::Rng::with_seed(18);
    capture.run(async {
        let events = Endpoint::from_fn(&LocalHub::new(), async |request| {
            let topic = request.query("about").and_then(|name| Topic::new(name).ok());
            Ok(request.subscribe_to([topic.unwrap_or(Topic::new("news")?)]))
        });
        for _ in 0..300 {
            let text: String = (0..random.usize(1..200)).map(|_| hostile(&mut random)).collect();
            let text = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string();
            let agent: String = (0..random.usize(1..600)).map(|_| hostile(&mut random)).collect();
            drop(events.handle(get(&format!("/?transport=sse&session={text}")).body(String::new()).unwrap()).await);
            let request = get(&format!("/?transport=chunked&about={text}"));
            let agent = HeaderValue::from_str(&agent.replace(char::is_control, " ")).unwrap();
            drop(events.handle(request.header("user-agent", agent).body(String::new()).unwrap()).await);
            let request = get(&format!("/{text}?transport={text}"));
            drop(events.handle(request.body(String::new()).unwrap()).await);
        }
    });
    let recorded = [capture.spans(), capture.events()].concat();
    let topics: Vec<_> = capture.spans().into_iter().map(|span| span.fields["topics"].clone()).collect();
    assert!(topics.len() >= 300 && topics.iter().any(|topic| topic != "news"), "{topics:?}");
    for one in recorded {
        for (name, value) in &one.fields {
            let bad = value.chars().find(|c| c.is_control() || "\u{202e}\u{2028}\u{feff}\u{200b}".contains(*c));
            assert_eq!(bad, None, "{name}: {value:?}");
            // An escaped character is at most ten bytes long.
            assert!(value.len() <= 10 * 128 + 4, "{name} has {} bytes", value.len());
        }
    }
}

/// Returns a character that is likely to break a log.
fn hostile(random: &mut fastrand::Rng) -> char {
    match random.u8(..8) {
        0 => ['\r', '\n', '\u{1b}', '\0', '\u{7f}', '\u{9b}', '\t', '"'][random.usize(..8)],
        1 => ['\u{202e}', '\u{2028}', '\u{feff}', '\u{200b}', 'ä', '字', '\\', '😀'][random.usize(..8)],
        _ => random.alphanumeric(),
    }
}
