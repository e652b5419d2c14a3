//! Keyed topics among those that a change adds.

use tidings::{EndpointBuilder, Event, LocalHub, Rejection, Retention, SubscribeRequest};

use super::app::{LiveApp, change, data, objects};
use crate::support::http::{TestClient, settle};

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
