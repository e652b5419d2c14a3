use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidings::endpoint::RefusalCause;
use tidings::{EndReason, Endpoint, EndpointBuilder, Event, LocalHub, Retention, Session, StateLimits, Transport};

use super::{People, app, hub};
use crate::support::http::{App, TestClient, pass};

/// Texts of the hook's calls, all of which are for presence.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn of(builder: EndpointBuilder) -> (Self, Endpoint) {
        let log = Self::default();
        let calls = log.clone();
        let endpoint = builder.on_refusal(move |refused| {
            assert_eq!(refused.cause(), RefusalCause::Presence);
            calls.0.lock().unwrap().push(refused.text().to_owned());
        });
        (log, endpoint.build())
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Lets a client of this user come and go. Returns the texts of the refusals, and what is published.
async fn visit(hub: &LocalHub, builder: EndpointBuilder, user: &str) -> (Vec<String>, usize) {
    let (log, endpoint) = Log::of(builder);
    let before = hub.stats().published;
    let client = TestClient::open(&endpoint, Transport::Sse, &format!("/?user={user}")).await;
    assert_eq!(endpoint.session_count(), 1, "the client is served");
    assert_eq!(client.end(), None);
    client.disconnect().await;
    pass(Duration::from_secs(20)).await;
    let (texts, stats) = (log.take(), endpoint.stats());
    assert_eq!(stats.refused_presence, texts.len() as u64);
    assert_eq!(stats.refused_for(RefusalCause::Presence), stats.refused_presence);
    assert_eq!(stats.present_keys, 0, "a refused key is forgotten");
    (texts, (hub.stats().published - before) as usize)
}

#[tokio::test(start_paused = true)]
async fn topic_without_latest_per_key_is_reported_at_the_first_session() {
    let hub = LocalHub::new();
    let (texts, published) = visit(&hub, app(&hub).1, "ann").await;
    let text = "presence of key `ann` in topic `people`: topic `people` keeps no state; set `Retention::latest_per_key` \
                for it";
    assert_eq!((texts, published), (vec![text.to_owned()], 0));
}

#[tokio::test(start_paused = true)]
async fn event_that_the_hub_refuses_is_reported_once() {
    let small = LocalHub::builder().retain_for("people", Retention::latest_per_key()).max_event(10).build();
    let (texts, published) = visit(&small, app(&small).1, "ann:long").await;
    let text = "presence of key `ann` in topic `people`: event is 14 bytes; the limit of the hub is 10";
    assert_eq!((texts, published), (vec![text.to_owned()], 0));

    let closed = hub();
    let (_, builder) = app(&closed);
    closed.finish("people", EndReason::Done).unwrap();
    let (texts, published) = visit(&closed, builder, "ann").await;
    let text = "presence of key `ann` in topic `people`: topic `people` has ended; publish to another topic";
    assert_eq!((texts, published), (vec![text.to_owned()], 0));
}

#[tokio::test(start_paused = true)]
async fn removal_of_a_closed_hub_is_reported_once() {
    let hub = hub();
    let (log, endpoint) = Log::of(app(&hub).1);
    let client = TestClient::open(&endpoint, Transport::WebSocket, "/?user=ann").await;
    hub.close();
    client.disconnect().await;
    pass(Duration::from_secs(600)).await;
    assert_eq!(log.take(), ["presence of key `ann` in topic `people`: hub is closed"]);
    assert_eq!(endpoint.stats().present_keys, 0);
}

#[tokio::test(start_paused = true)]
async fn name_that_is_not_valid_is_reported_and_others_are_published() {
    let hub = hub();
    let app = App::with_hub(hub.clone());
    let builder = app.builder().presence(&hub, |session: &Session| {
        let user = session.data::<String>().cloned().unwrap_or_default();
        let event = || Event::text("here");
        [
            ("people/*", user.clone(), event()),
            ("people", String::new(), event()),
            ("people", user.clone(), Event::removal("x").unwrap()),
            ("people", user, event()),
        ]
    });
    let (texts, published) = visit(&hub, builder, "ann").await;
    let expected = [
        "topic of the presence: topic name contains '*'",
        "presence in topic `people`: event name, key or tag is empty",
        "presence in topic `people`: the event is a removal; return an event with a payload",
    ];
    assert_eq!((texts, published), (expected.map(str::to_owned).to_vec(), 2));
}

#[tokio::test(start_paused = true)]
async fn panic_of_the_closure_affects_one_session_only() {
    let hub = hub();
    let app = App::with_hub(hub.clone());
    let builder = app.builder().presence(&hub, |session: &Session| {
        let user = session.data::<String>().cloned()?;
        assert_ne!(user, "bad", "in the closure");
        Some(("people", user.clone(), user))
    });
    let (log, endpoint) = Log::of(builder);
    let mut people = People::of(&hub);
    let bad = TestClient::open(&endpoint, Transport::Sse, "/?user=bad").await;
    let ann = TestClient::open(&endpoint, Transport::Sse, "/?user=ann").await;
    assert_eq!(people.changes(), ["ann"]);
    assert_eq!(log.take(), ["closure of the presence panicked"]);
    app.publish("one");
    pass(Duration::from_millis(100)).await;
    assert!(bad.text().contains("one"), "the session continues");
    bad.disconnect().await;
    ann.disconnect().await;
    pass(Duration::from_secs(6)).await;
    assert_eq!((people.changes(), endpoint.session_count()), (vec!["-ann".to_owned()], 0));
    assert!(log.take().is_empty());
}

#[tokio::test(start_paused = true)]
async fn key_that_the_state_has_no_room_for_is_tried_again() {
    let limits = StateLimits::default().keys(1);
    let retention = Retention::latest_per_key().state_limits(limits);
    let hub = LocalHub::builder().retain_for("people", retention).build();
    let (log, endpoint) = Log::of(app(&hub).1);
    let mut people = People::of(&hub);
    let ann = TestClient::open(&endpoint, Transport::Sse, "/?user=ann").await;
    let bob = TestClient::open(&endpoint, Transport::Sse, "/?user=bob").await;
    assert_eq!(people.changes(), ["ann is here"]);
    let text = "presence of key `bob` in topic `people`: state of topic `people` has no room for the event; remove keys or \
                raise its limits";
    // At 0, 1, 3, 7, 15 and 31 s.
    pass(Duration::from_secs(32)).await;
    assert_eq!(log.take(), [text; 6]);
    ann.disconnect().await;
    pass(Duration::from_secs(32)).await;
    assert_eq!(people.changes(), ["-ann", "bob is here"]);
    assert!(log.take().is_empty());

    // A key that is not published is forgotten with its session.
    TestClient::open(&endpoint, Transport::Sse, "/?user=cid").await.disconnect().await;
    assert_eq!((log.take().len(), endpoint.stats().present_keys), (1, 1));
    bob.disconnect().await;
    pass(Duration::from_secs(60)).await;
    assert_eq!((people.changes(), endpoint.stats().present_keys), (vec!["-bob".to_owned()], 0));
}
