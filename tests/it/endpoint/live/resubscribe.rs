//! Changes of topics by the application.

use serde_json::json;
use tidings::subscriber::{SubscriberExt, from_stream};
use tidings::{
    Accepted, Endpoint, Event, LocalHub, ResubscribeError, SessionId, Snapshot, Start, Subscribe, Subscriber, Topic,
    Transport,
};

use super::app::{LiveApp, change, confirmed, data, objects};
use crate::support::http::{TestClient, settle};

const ID: fn(u64) -> SessionId = SessionId::from;

fn subscriber(hub: &LocalHub, topics: &[&str]) -> impl Subscriber + use<> {
    hub.subscribe(Subscribe::topics(topics.iter().copied())).unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_stream_and_websocket_gets_the_topics_of_the_application() {
    for transport in [Transport::Chunked, Transport::Sse, Transport::WebSocket] {
        let app = LiveApp::new();
        let endpoint = app.builder().build();
        let client = TestClient::open(&endpoint, transport, "/?topic=a&topic=both").await;
        app.publish("a", "a1;");
        app.publish("both", "both1;");
        endpoint.resubscribe(ID(1), subscriber(app.hub(), &["b", "both"])).unwrap();
        app.publish("a", "a2;");
        app.publish("b", "b1;");
        app.publish("both", "both2;");
        settle().await;
        app.publish("a", "a3;");
        app.publish("b", "b2;");
        settle().await;
        let text = client.text();
        for (event, count) in [("a1;", 1), ("both1;", 1), ("both2;", 1), ("a3;", 0), ("b2;", 1)] {
            assert_eq!(text.matches(event).count(), count, "{transport:?} {event}: {text}");
        }
        assert!(!text.contains("\"topics\""), "no confirmation: {text}");
        let topics = endpoint.session(ID(1)).unwrap().session.topics();
        assert_eq!(topics.iter().map(|topic| topic.as_str()).collect::<Vec<_>>(), ["b", "both"]);
    }
}

#[tokio::test(start_paused = true)]
async fn client_of_objects_gets_a_confirmation() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    let cursor = app.publish("a", "a1");
    settle().await;
    endpoint.resubscribe(ID(1), subscriber(app.hub(), &["b", "c"])).unwrap();
    settle().await;
    assert_eq!(objects(&client)[1..], [confirmed(&["b", "c"], &cursor)]);
}

#[tokio::test(start_paused = true)]
async fn session_that_cannot_change_is_an_error() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let give = |id| endpoint.resubscribe(ID(id), subscriber(app.hub(), &["b"]));
    assert_eq!(give(1), Err(ResubscribeError::NotFound));
    let poll = TestClient::open(&endpoint, Transport::LongPoll, "/?topic=a").await;
    let id = endpoint.sessions()[0].session.id().get();
    assert_eq!(give(id), Err(ResubscribeError::Poll));
    let stream = TestClient::open(&endpoint, Transport::Sse, "/?topic=a").await;
    let without = || from_stream(Topic::new("x").unwrap(), futures_util::stream::pending::<Event>());
    assert_eq!(endpoint.resubscribe(ID(id + 1), without()), Err(ResubscribeError::NoCursors));
    assert_eq!(
        endpoint.resubscribe(ID(id + 1), subscriber(&LocalHub::new(), &["b"])),
        Err(ResubscribeError::NoCursors)
    );
    let cursorless = TestClient::open(&endpoint, Transport::Chunked, "/?topic=cursorless").await;
    assert_eq!(give(id + 2), Err(ResubscribeError::NoCursors));
    assert_eq!(give(id + 1), Ok(()));
    endpoint.disconnect(ID(id + 1));
    assert_eq!(give(id + 1), Err(ResubscribeError::Ended));
    drop((poll, stream, cursorless));
}

/// A subscriber that takes part until the change is made.
struct Stubborn<S>(S, bool);

impl<S: Subscriber> Subscriber for Stubborn<S> {
    fn poll_next(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<tidings::subscriber::Delivery> {
        self.0.poll_next(cx)
    }

    fn cursor(&self) -> Option<tidings::Cursor> {
        self.0.cursor()
    }

    fn skip_to(&mut self, _: tidings::Cursor) -> bool {
        std::mem::take(&mut self.1)
    }
}

#[tokio::test(start_paused = true)]
async fn subscriber_that_cannot_skip_at_the_change_leaves_the_topics() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    endpoint.resubscribe(ID(1), Stubborn(subscriber(app.hub(), &["b"]), true)).unwrap();
    settle().await;
    app.publish("a", "a1");
    app.publish("b", "b1");
    settle().await;
    assert_eq!((data(&objects(&client)), endpoint.stats().refused_publisher), (vec!["a1"], 1));
    assert_eq!(app.hub().stats().subscriptions, 1);
}

#[tokio::test(start_paused = true)]
async fn change_of_the_application_precedes_one_of_the_client_that_is_under_way() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    change(&mut client, &["wait"]).await;
    endpoint.resubscribe(ID(1), subscriber(app.hub(), &["b"])).unwrap();
    settle().await;
    let cursor = app.hub().cursor().to_string();
    assert_eq!(objects(&client), [confirmed(&["b"], &cursor)]);
    assert_eq!((app.running(), app.calls().len()), (1, 3), "the publisher is asked again");
    app.release(1).await;
    assert_eq!(objects(&client)[1..], [confirmed(&["wait"], &cursor)]);
}

#[tokio::test(start_paused = true)]
async fn last_subscriber_of_the_application_counts() {
    let app = LiveApp::new();
    let endpoint: Endpoint = app.builder().build();
    let client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    for topics in [["b"], ["c"], ["d"]] {
        endpoint.resubscribe(ID(1), subscriber(app.hub(), &topics)).unwrap();
    }
    settle().await;
    assert_eq!(objects(&client), [confirmed(&["d"], &app.hub().cursor().to_string())]);
    assert_eq!(app.hub().stats().subscriptions, 1);
}

#[tokio::test(start_paused = true)]
async fn subscriber_at_an_older_cursor_skips_what_the_client_has() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let begin = app.hub().cursor();
    let client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    app.publish("a", "a1");
    app.publish("b", "b1");
    settle().await;
    let older = Subscribe::topics(["a", "b"]).start(Start::After(begin));
    let accepted = Accepted::new(app.hub().subscribe(older).unwrap().boxed());
    endpoint.resubscribe(ID(1), accepted).unwrap();
    app.publish("b", "b2");
    settle().await;
    let objects = objects(&client);
    assert_eq!(data(&objects), ["a1", "b2"]);
    assert_eq!(objects[1]["topics"], json!(["a", "b"]));
}

#[tokio::test(start_paused = true)]
async fn snapshot_of_the_new_subscriber_precedes_the_confirmation_and_later_events_follow_it() {
    for has_cursor in [true, false] {
        let app = LiveApp::new();
        let endpoint = app.builder().max_batch_bytes(1).build();
        let client = TestClient::open_objects(&endpoint, "/?topic=a").await;
        app.publish("a", "a1");
        settle().await;
        let subscriber = subscriber(app.hub(), &["b"]);
        app.publish("b", "b1");
        let snapshot = Snapshot::new([(Topic::new("b").unwrap(), Event::text("state"))]);
        let snapshot = snapshot.with_cursor(Some(app.hub().cursor()).filter(|_| has_cursor));
        app.publish("a", "a2");
        app.publish("b", "b2");
        app.publish("b", "b3");
        endpoint.resubscribe(ID(1), Accepted::new(subscriber).with_snapshot(snapshot)).unwrap();
        settle().await;
        app.publish("b", "b4");
        settle().await;
        let objects = objects(&client);
        let confirmation = objects.iter().position(|object| object["tidings"] == "topics").unwrap();
        assert_eq!(data(&objects[..confirmation]).last(), Some(&"state"));
        assert_eq!(data(&objects[confirmation..]).last(), Some(&"b4"));
    }
}
