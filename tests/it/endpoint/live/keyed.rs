//! Keyed topics among those that a change adds.

use std::time::Duration;

use serde_json::Value;
use tidings::{
    Cursor, EndReason, EndpointBuilder, Event, LocalHub, Pattern, Rejection, Retention, SessionId, Start, Subscribe,
    SubscribeRequest, Transport,
};

use super::app::{LiveApp, change, data, objects};
use crate::support::http::{TestClient, pass, settle};

fn app() -> LiveApp {
    LiveApp::with_hub(LocalHub::builder().retain_for("keyed/*", Retention::latest_per_key()).build())
}

fn set(app: &LiveApp, topic: &str, key: &str, value: &str) {
    app.hub().publish_now(topic, Event::text(value).with_key(key).unwrap()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn added_keyed_topic_sends_its_state_before_the_confirmation() {
    let app = app();
    let endpoint = app.builder().build();
    set(&app, "keyed/1", "x", "x1");
    set(&app, "keyed/1", "y", "y1");
    app.publish("a", "a1");
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    app.publish("a", "a2");
    set(&app, "keyed/1", "x", "x2");
    app.publish("a", "a3");
    settle().await;
    change(&mut client, &["a", "keyed/1"]).await;
    let at = app.hub().cursor().to_string();
    set(&app, "keyed/1", "y", "y2");
    app.publish("a", "a4");
    settle().await;
    let objects = objects(&client);
    assert_eq!(data(&objects), ["a2", "a3", "y1", "x2", "y2", "a4"]);
    assert_eq!((&objects[4]["tidings"], objects[4]["cursor"].as_str()), (&"topics".into(), Some(&*at)));
}

#[tokio::test(start_paused = true)]
async fn keyed_topic_of_both_sets_sends_no_state_again() {
    let app = app();
    let endpoint = app.builder().build();
    set(&app, "keyed/1", "x", "x1");
    let mut client = TestClient::open_objects(&endpoint, "/?topic=keyed/1").await;
    set(&app, "keyed/2", "z", "z1");
    set(&app, "keyed/1", "x", "x2");
    settle().await;
    change(&mut client, &["keyed/1", "keyed/2", "keyed/3"]).await;
    set(&app, "keyed/1", "x", "x3");
    settle().await;
    assert_eq!(data(&objects(&client)), ["x1", "x2", "z1", "x3"]);
    assert_eq!(objects(&client)[3]["tidings"], "topics");
}

/// The change waits until the client has the state that it began with.
#[tokio::test(start_paused = true)]
async fn change_during_the_first_state_follows_it() {
    let app = app();
    let endpoint = app.builder().max_batch_bytes(1).build();
    let keys: Vec<_> = (0..200).map(|key| key.to_string()).collect();
    keys.iter().for_each(|key| set(&app, "keyed/1", key, key));
    let mut client = TestClient::open_objects(&endpoint, "/?topic=keyed/1").await;
    change(&mut client, &["a"]).await;
    let objects = objects(&client);
    assert_eq!(data(&objects), keys);
    assert_eq!((objects.len(), &objects[200]["topics"][0]), (201, &"a".into()));
}

/// The publisher follows each room by a pattern.
#[tokio::test(start_paused = true)]
async fn added_pattern_sends_the_states_of_its_topics_before_the_confirmation() {
    let app = app();
    let rooms = async |request: SubscribeRequest| {
        let patterns: Vec<_> = request.topics().iter().map(|room| format!("{room}/*")).collect();
        Ok::<_, Rejection>(request.subscribe_to_patterns(patterns))
    };
    let endpoint = EndpointBuilder::from_fn(app.hub(), rooms).build();
    set(&app, "keyed/1", "x", "x1");
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    app.publish("a/1", "a1");
    settle().await;
    change(&mut client, &["a", "keyed"]).await;
    set(&app, "keyed/1", "x", "x2");
    settle().await;
    let objects = objects(&client);
    assert_eq!(data(&objects), ["a1", "x1", "x2"]);
    assert_eq!(objects[2]["tidings"], "topics");
}

/// The change is made when the client is past the first event of the topic.
#[tokio::test(start_paused = true)]
async fn added_topic_without_a_state_sends_the_state_that_it_gets_before_the_change() {
    for (names, is_added) in [(["a", "keyed/1"], true), (["a", "keyed/*"], true), (["a", "keyed/*"], false)] {
        for has_cursor in [true, false] {
            let app = app();
            let endpoint = app.builder().build();
            let client = TestClient::open_objects(&endpoint, "/?topic=a").await;
            let start = if has_cursor { Start::After(app.hub().cursor()) } else { Start::Now };
            let added = names[1..].iter().filter(|_| is_added).map(|name| Pattern::new(name).unwrap());
            let subscribe = Subscribe::patterns(names).start(start).added(added);
            let subscription = app.hub().subscribe(subscribe).unwrap();
            set(&app, "keyed/1", "x", "x1");
            set(&app, "keyed/1", "y", "y1");
            app.publish("a", "a1");
            settle().await;
            endpoint.resubscribe(SessionId::from(1), subscription).unwrap();
            settle().await;
            set(&app, "keyed/1", "x", "x2");
            settle().await;
            let objects = objects(&client);
            assert_eq!(data(&objects), ["a1", "x1", "y1", "x2"], "{names:?}, with a cursor: {has_cursor}");
            assert_eq!(objects[3]["tidings"], "topics");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn subscriber_without_a_cursor_sends_no_state_of_kept_topics_again() {
    let app = app();
    let endpoint = app.builder().max_batch_bytes(1).build();
    let keys: Vec<_> = (0..200).map(|key| key.to_string()).collect();
    keys.iter().for_each(|key| set(&app, "keyed/1", key, key));
    set(&app, "keyed/2", "z", "z1");
    let client = TestClient::open_objects(&endpoint, "/?topic=keyed/1&topic=a").await;
    let subscription = app.hub().subscribe(Subscribe::topics(["keyed/1", "keyed/2", "a"])).unwrap();
    app.hub().publish_now("keyed/1", Event::removal("7").unwrap()).unwrap();
    app.publish("a", "a1");
    settle().await;
    endpoint.resubscribe(SessionId::from(1), subscription).unwrap();
    set(&app, "keyed/1", "8", "later");
    settle().await;
    let objects = objects(&client);
    let expected: Vec<_> = keys.iter().map(String::as_str).chain(["a1", "z1", "later"]).collect();
    assert_eq!(data(&objects), expected);
    assert_eq!(objects.iter().filter(|object| object["removed"] == true).count(), 1);
}

/// Each value of the state is replaced or removed before or after the client gets it.
#[tokio::test(start_paused = true)]
async fn change_on_a_hub_that_publishes_without_pause_is_confirmed_before_later_events() {
    for max_batch in [1, 65_536] {
        let app = app();
        let endpoint = app.builder().max_batch_bytes(max_batch).build();
        (0..300).for_each(|key| set(&app, "keyed/1", &key.to_string(), "first"));
        let client = TestClient::open_objects(&endpoint, "/?topic=a&topic=keyed/2").await;
        let at = app.hub().cursor();
        let subscription = app.hub().subscribe(Subscribe::topics(["a", "keyed/1"])).unwrap();
        endpoint.resubscribe(SessionId::from(1), subscription).unwrap();
        for round in 0..300 {
            app.publish("a", "later");
            set(&app, "keyed/2", "x", "later");
            match round % 2 {
                0 => set(&app, "keyed/1", &(299 - round).to_string(), "later"),
                _ => _ = app.hub().publish_now("keyed/1", Event::removal(&(299 - round).to_string()).unwrap()).unwrap(),
            }
            if round % 10 == 9 {
                tokio::task::yield_now().await;
            }
        }
        pass(Duration::from_millis(20)).await;
        let objects = objects(&client);
        let confirmation = objects.iter().position(|object| object["tidings"] == "topics").unwrap();
        let cursor: Cursor = objects[confirmation]["cursor"].as_str().unwrap().parse().unwrap();
        assert_eq!(cursor, at);
        for (place, object) in objects.iter().enumerate().filter(|(_, object)| object["id"].is_string()) {
            let id: Cursor = object["id"].as_str().unwrap().parse().unwrap();
            assert_eq!(id.sequence() <= cursor.sequence(), place < confirmation, "{object}");
        }
        let is_state = |object: &Value| object["topic"] == "keyed/1";
        assert!(objects[..confirmation].iter().any(is_state) && objects[confirmation..].iter().any(is_state));
        let later = objects[confirmation..].iter().filter(|object| object["topic"] == "a").count();
        let before = objects[..confirmation].iter().filter(|object| object["topic"] == "a").count();
        assert_eq!(before + later, 300);
    }
}

#[tokio::test(start_paused = true)]
async fn added_state_of_a_filtered_subscriber_is_filtered_and_the_change_is_confirmed() {
    let app = app();
    let endpoint = app.builder().build();
    let client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    (0..9_000).for_each(|key| set(&app, "keyed/1", &key.to_string(), "left out"));
    set(&app, "keyed/1", "x", "x1");
    let request = Subscribe::topics(["a", "keyed/1"]).filter(|event| event.event.key().is_none_or(|key| key == "x"));
    app.publish("a", "a1");
    endpoint.resubscribe(SessionId::from(1), app.hub().subscribe(request).unwrap()).unwrap();
    settle().await;
    set(&app, "keyed/1", "x", "x2");
    settle().await;
    let objects = objects(&client);
    assert_eq!((data(&objects), &objects[2]["tidings"]), (vec!["a1", "x1", "x2"], &"topics".into()), "{objects:?}");
}

#[tokio::test(start_paused = true)]
async fn added_state_of_one_that_has_ended_precedes_the_confirmation_and_the_end_follows_it() {
    let app = app();
    let endpoint = app.builder().build();
    set(&app, "keyed/1", "x", "x1");
    set(&app, "keyed/1", "y", "y1");
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    app.hub().finish("keyed/1", EndReason::Done).unwrap();
    app.publish("a", "a1");
    settle().await;
    change(&mut client, &["now", "keyed/1"]).await;
    app.publish("now", "n1");
    settle().await;
    let objects = objects(&client);
    assert_eq!(data(&objects), ["a1", "x1", "y1", "n1"]);
    assert_eq!((&objects[3]["tidings"], &objects[4]["end"]["reason"]), (&"topics".into(), &"done".into()));
}

#[tokio::test(start_paused = true)]
async fn added_state_reaches_each_stream() {
    for transport in [Transport::Chunked, Transport::Sse, Transport::WebSocket] {
        let app = app();
        let endpoint = app.builder().build();
        set(&app, "keyed/1", "x", "x1;");
        let client = TestClient::open(&endpoint, transport, "/?topic=a").await;
        let subscription = app.hub().subscribe(Subscribe::topics(["keyed/1"])).unwrap();
        endpoint.resubscribe(SessionId::from(1), subscription).unwrap();
        settle().await;
        set(&app, "keyed/1", "y", "y1;");
        settle().await;
        let text = client.text();
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} in {transport:?}: {text}"));
        assert!(at("x1;") < at("y1;"));
    }
}
