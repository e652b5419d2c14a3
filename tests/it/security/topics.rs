//! Rows 6, 8 and 34: a topic name is one name, requests for topics leave nothing behind, and floods of topics are
//! bounded.

use std::task::Poll;

use proptest::prelude::*;
use tidings::subscriber::{Delivery, SubscriberExt};
use tidings::{Event, LocalHub, Retention, Start, Subscribe, Subscriber, Topic};

use super::site::Site;
use crate::support::http::{App, To, get, request, runtime, text};
use crate::support::{Task, any_topic};

proptest! {
    /// Different names are different topics, however similar they are.
    #[test]
    fn row_06_different_names_are_different_topics(one in any_near_name(), other in any_near_name()) {
        let hub = LocalHub::builder().build();
        let (Ok(topic), Ok(foreign)) = (Topic::new(&one), Topic::new(&other)) else { return Ok(()) };
        prop_assert_eq!((topic.as_str(), foreign.as_str()), (&*one, &*other), "kept as they are");
        hub.publish_now(&topic, "mine").unwrap();
        let mut reader = hub.subscribe(Subscribe::topics([&foreign]).start(Start::Oldest)).unwrap();
        prop_assert_eq!(texts(&mut reader).is_empty(), one != other);
    }

    /// The publisher gets the topic names that the client sent, however they are percent-encoded.
    #[test]
    fn row_06_topic_in_the_query_is_read_unchanged(names in prop::collection::vec(any_topic(), 1..6)) {
        let mut query = form_urlencoded::Serializer::new("/events?".to_owned());
        names.iter().for_each(|name| { query.append_pair("topic", name); });
        let (app, target) = (App::new(), query.finish());
        runtime().block_on(get(&target).to(&app.endpoint()));
        let mut expected: Vec<String> = Vec::new();
        names.into_iter().for_each(|name| if !expected.contains(&name) { expected.push(name) });
        prop_assert_eq!(app.last_subscribe().2, expected);
    }
}

#[tokio::test]
async fn row_06_query_that_is_not_utf8_is_refused_unless_it_is_the_cursor() {
    const REFUSED: &str = r#"{"error":"query is not UTF-8: percent-encode the UTF-8 bytes of each name and value"}"#;
    let app = App::new();
    let site = Site::new(app.clone(), app.endpoint()).await;
    let host = [("host", "example.com")];
    for (query, allowed) in [
        ("topic=caf%C3%A9", true),
        ("topic=caf%EF%BF%BD", true),
        ("cursor=caf%E9", true),
        ("cursor=%FF&topic=news", true),
        ("topic=caf%E9", false),
        ("topic=news&topic=caf%E9", false),
        ("topic=%C0%AF", false),
        ("topic=%ED%A0%80", false),
        ("topic=a+%E9", false),
        ("session=caf%E9", false),
        ("wait=%E9", false),
        ("transport=%E9", false),
        ("format=%E9", false),
        ("heartbeat=%E9", false),
        // Of the application: it would read another value than the client sent.
        ("user=caf%E9", false),
        ("caf%E9=user", false),
        ("%FFcursor=1.a2", false),
    ] {
        let target = format!("/events?{query}");
        for (method, way) in [
            ("GET", "transport=short-poll"),
            ("GET", "transport=long-poll&wait=0"),
            ("GET", "transport=chunked"),
            ("GET", "transport=sse"),
            ("HEAD", ""),
            ("POST", ""),
        ] {
            let before = app.subscribes() + app.messages().len();
            let answer = site.send(method, &format!("/events?{way}&{query}"), &host).await;
            let expected = if allowed { 200 } else { 400 };
            assert_eq!(answer.status, expected, "{method} {way} {query}: {}", answer.body);
            if !allowed && !query.starts_with("transport") && !query.starts_with("wait") {
                assert_eq!(answer.body, REFUSED, "{method} {way} {query}");
            }
            assert!(allowed || app.subscribes() + app.messages().len() == before, "the publisher was not called");
        }
        for answer in [site.send_upgrade(&target, &host).await, site.send_connect(&target, &host).await.unwrap()] {
            assert_eq!(
                (answer.status, answer.body.as_str()),
                if allowed { (200, "") } else { (400, REFUSED) },
                "{query}"
            );
        }
    }
    // A malformed cursor is a gap.
    let reply = text(get("/events?cursor=caf%E9").to(&site.endpoint).await).await;
    assert!(reply.contains(r#""gap":{"reason":"invalid""#) || reply.contains(r#""reason":"invalid""#), "{reply}");
}

#[test]
fn row_06_request_read_by_a_handler_has_no_lossy_value() {
    let read = |target: &str| tidings::SubscribeRequest::read(&request("GET", target).body(()).unwrap().into_parts().0);
    assert!(read("/events?user=caf%E9").is_err());
    let wanted = read("/events?user=caf%C3%A9+x&user=second&empty&cursor=%E9&=nameless").unwrap();
    let query = |name: &str| wanted.query(name).map(std::borrow::Cow::into_owned);
    assert_eq!(query("user").as_deref(), Some("caf\u{e9} x"));
    assert_eq!((query("empty").as_deref(), query("").as_deref()), (Some(""), Some("nameless")));
    assert_eq!((query("cursor"), query("absent")), (None, None));
    assert_eq!(wanted.start(), Start::Unreadable);
}

/// A field that cannot be read offers an unknown subprotocol, rather than none.
#[tokio::test]
async fn row_06_subprotocol_that_is_not_ascii_is_refused() {
    let app = App::new();
    let site = Site::new(app.clone(), app.endpoint()).await;
    for (offer, status) in [("caf\u{e9}", 400), ("tidings.v1", 200), ("", 200)] {
        let headers = [("host", "example.com"), ("sec-websocket-protocol", offer)];
        assert_eq!(site.send_upgrade("/events", &headers).await.status, status, "{offer}");
        assert_eq!(site.send_connect("/events", &headers).await.unwrap().status, status, "{offer}");
    }
}

fn any_near_name() -> impl Strategy<Value = String> {
    let piece =
        prop::sample::select(vec!["a", "b", "/", "%2f", "%2F", ":", ",", "\u{1f}", "\0", "*", "A", "é", "e\u{301}"]);
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat())
}

#[tokio::test]
async fn row_08_hundred_thousand_subscribed_names_leave_nothing_behind() {
    let app = App::new();
    let news = Topic::new("news").unwrap();
    app.publish("one");
    let mut legitimate = app.hub.subscribe(Subscribe::topics(["news"])).unwrap();
    let held = || {
        let stats = app.hub.stats();
        (stats.topics, stats.tombstones, stats.subscriptions, stats.parked, stats.bytes - stats.cached_bytes)
    };
    let before = held();
    for number in 0..100_000_u32 {
        let name = format!("{:x}/{number}", number.wrapping_mul(2_654_435_761));
        drop(app.hub.subscribe(Subscribe::topics([&*name, "news"])).unwrap());
        if number % 1_000 == 0 {
            // By its own name, over the endpoint, and with a history.
            let target = format!("/events?topic={name}&cursor=0.0");
            get(&target).to(&app.endpoint()).await;
            drop(app.hub.subscribe(Subscribe::topics([&*name]).start(Start::Last(9))).unwrap());
        }
    }
    assert_eq!(held(), before);
    app.hub.publish_now(&news, "two").unwrap();
    assert_eq!(texts(&mut legitimate), ["two"]);
}

#[tokio::test(start_paused = true)]
async fn row_08_subscribed_topics_are_bounded_by_sessions_and_topics_per_request() {
    let app = App::new();
    let endpoint = tidings::Endpoint::builder({
        let hub = app.hub.clone();
        move |request: tidings::SubscribeRequest| {
            let subscribed = hub.subscribe(request.subscribe_to(request.topics()));
            async { Ok(subscribed?) }
        }
    });
    let endpoint = endpoint.max_sessions(3).max_topics_per_request(4).build();
    let mut sessions = Vec::new();
    for number in 0..10 {
        let topics: Vec<_> = (0..number).map(|topic| format!("topic={number}/{topic}")).collect();
        let response = get(&format!("/?transport=sse&{}", topics.join("&"))).to(&endpoint).await;
        // A request without a topic is not a subscription, and five topics exceed the limit.
        assert_eq!(response.status(), if (1..=4).contains(&number) { 200 } else { 400 }, "{number}");
        sessions.push(response);
        assert!(app.hub.stats().topics <= 3 * 4);
    }
    assert_eq!((endpoint.session_count(), app.hub.stats().topics), (3, 1 + 2 + 3));
    drop(sessions);
    assert_eq!((app.hub.stats().topics, app.hub.stats().subscriptions), (0, 0));
}

/// Returns a hub that holds at most 4 MiB and 2,000 topics, with a topic of 50 events.
fn flooded_hub() -> (LocalHub, Topic) {
    let news = Topic::new("news").unwrap();
    let hub = LocalHub::builder().retain(Retention::count(50)).max_bytes(4 << 20).max_topics(2_000).build();
    for number in 0..50 {
        hub.publish_now(&news, number.to_string()).unwrap();
    }
    (hub, news)
}

/// Returns the number of events that the hub keeps of a topic.
fn kept(hub: &LocalHub, topic: &Topic) -> usize {
    let mut reader = hub.subscribe(Subscribe::topics([topic]).start(Start::Oldest)).unwrap();
    texts(&mut reader).len()
}

#[test]
fn row_08_random_topic_names_published_stay_within_the_limits() {
    let (hub, news) = flooded_hub();
    let mut random = fastrand::Rng::with_seed(8);
    // Twenty times the limit.
    for number in 0..40_000 {
        hub.publish_now(Topic::new(format!("{:x}", random.u128(..))).unwrap(), "x").unwrap();
        if number % 1_000 == 0 {
            let stats = hub.stats();
            assert!(stats.topics <= 2_000 && stats.tombstones <= 1_024 && stats.bytes <= 4 << 20, "{stats:?}");
        }
    }
    assert_eq!((kept(&hub, &news), hub.stats().topics), (50, 2_000), "a legitimate topic is unaffected");
}

#[test]
fn row_08_random_topic_names_subscribed_to_do_not_block_publishers() {
    let (hub, news) = flooded_hub();
    let mut random = fastrand::Rng::with_seed(8);
    let name = |random: &mut fastrand::Rng| Topic::new(format!("{:x}", random.u128(..))).unwrap();
    let flood: Vec<_> = (0..10_000).map(|_| hub.subscribe(Subscribe::topics([name(&mut random)]))).collect();
    assert_eq!(flood.iter().filter(|subscribed| subscribed.is_ok()).count(), 2_000);
    for _ in 0..5_000 {
        hub.publish_now(name(&mut random), "x").unwrap();
    }
    assert_eq!((kept(&hub, &news), hub.stats().topics), (50, 4_000));
}

#[test]
fn row_34_honest_topics_keep_their_history_while_clients_flood_topics() {
    for payload in [1, 10_000] {
        let (hub, news) = flooded_hub();
        for number in 0..20_000 {
            let event = Event::text("x".repeat(payload));
            hub.publish_now(Topic::new(format!("flood/{number}")).unwrap(), event).unwrap();
        }
        assert!(hub.stats().evicted_by_budget > 15_000);
        assert_eq!(kept(&hub, &news), 50);
    }
}

/// Returns the texts that a subscriber has ready.
fn texts(subscriber: &mut impl Subscriber) -> Vec<String> {
    let task = Task::new();
    let mut texts = Vec::new();
    while let Poll::Ready(delivery) = task.poll(&mut subscriber.next()) {
        match delivery {
            Delivery::Events(batch) => {
                texts.extend(batch.iter().map(|event| event.event.as_str().unwrap().to_owned()));
            }
            Delivery::Gap(_) => {}
            _ => break,
        }
    }
    texts
}
