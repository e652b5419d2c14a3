//! Changes of the topics of throttled sessions.

use std::time::Duration;

use tidings::{Accepted, EndReason, Endpoint, Event, LocalHub, Retention, SessionId, Start, Subscribe};

use super::app::{LiveApp, change, confirmed, data, objects};
use crate::support::http::{TestClient, pass, settle};

const SECOND: Duration = Duration::from_secs(1);

/// Returns a client of the topic `a` with an interval of 10 s, which has begun.
async fn client(app: &LiveApp, endpoint: &Endpoint) -> TestClient {
    let client = TestClient::open_objects(endpoint, "/?topic=a&throttle=10000").await;
    app.publish("a", "a1");
    pass(SECOND).await;
    assert_eq!(data(&objects(&client)), ["a1"]);
    client
}

/// Resubscribes the session at its cursor.
fn resubscribe(app: &LiveApp, endpoint: &Endpoint, throttle: Option<Duration>) {
    let start = Start::After(endpoint.session(SessionId::from(1)).unwrap().cursor.unwrap());
    let accepted = Accepted::new(app.hub().subscribe(Subscribe::topics(["a", "b"]).start(start)).unwrap());
    let accepted = match throttle {
        Some(throttle) => accepted.with_throttle(throttle),
        None => accepted,
    };
    endpoint.resubscribe(SessionId::from(1), accepted).unwrap();
}

#[tokio::test(start_paused = true)]
async fn change_in_the_interval_is_confirmed_at_once_and_its_events_wait() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let mut client = client(&app, &endpoint).await;
    let cursor = endpoint.session(SessionId::from(1)).unwrap().cursor.unwrap().to_string();
    // One that waits, and is of both sets.
    app.publish("a", "a2");
    pass(SECOND).await;
    change(&mut client, &["a", "b"]).await;
    app.publish("b", "b1");
    settle().await;
    assert_eq!(objects(&client)[1..], [confirmed(&["a", "b"], &cursor)]);
    pass(7 * SECOND).await;
    assert_eq!(data(&objects(&client)), ["a1"]);
    pass(2 * SECOND).await;
    assert_eq!(data(&objects(&client)), ["a1", "a2", "b1"]);
    app.publish("b", "b2");
    pass(8 * SECOND).await;
    assert_eq!(data(&objects(&client)).len(), 3, "the interval is that of the session");
    pass(2 * SECOND).await;
    assert_eq!(data(&objects(&client))[3..], ["b2"]);
}

#[tokio::test(start_paused = true)]
async fn change_after_the_interval_delivers_the_first_event_at_once() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let mut client = client(&app, &endpoint).await;
    pass(20 * SECOND).await;
    change(&mut client, &["b"]).await;
    app.publish("b", "b1");
    settle().await;
    assert_eq!(data(&objects(&client)), ["a1", "b1"]);
}

/// The subscriber of `now` begins after an event of another topic, which the present subscriber has to pass first.
#[tokio::test(start_paused = true)]
async fn change_that_begins_ahead_is_made_after_the_interval() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let mut client = client(&app, &endpoint).await;
    let ahead = app.publish("other", "x");
    change(&mut client, &["now"]).await;
    pass(8 * SECOND).await;
    assert_eq!(objects(&client).len(), 1);
    pass(2 * SECOND).await;
    assert_eq!(objects(&client)[1..], [confirmed(&["now"], &ahead)]);
}

#[tokio::test(start_paused = true)]
async fn state_of_an_added_keyed_topic_and_the_confirmation_come_with_the_next_delivery() {
    let app = LiveApp::with_hub(LocalHub::builder().retain_for("keyed", Retention::latest_per_key()).build());
    let endpoint = app.builder().build();
    app.hub().publish_now("keyed", Event::text("x1").with_key("x").unwrap()).unwrap();
    let mut client = client(&app, &endpoint).await;
    change(&mut client, &["a", "keyed"]).await;
    pass(8 * SECOND).await;
    assert_eq!(objects(&client).len(), 1);
    pass(2 * SECOND).await;
    let objects = objects(&client);
    assert_eq!((data(&objects), &objects[2]["tidings"]), (vec!["a1", "x1"], &"topics".into()));
}

#[tokio::test(start_paused = true)]
async fn throttle_of_a_change_replaces_that_of_the_session() {
    // The interval began 1 s before the change.
    for (throttle, wait) in [(None, 9), (Some(3), 2), (Some(30), 29), (Some(0), 0)] {
        let app = LiveApp::new();
        let endpoint = app.builder().build();
        let client = client(&app, &endpoint).await;
        app.publish("a", "a2");
        resubscribe(&app, &endpoint, throttle.map(Duration::from_secs));
        if wait > 0 {
            pass(wait * SECOND - Duration::from_millis(50)).await;
            assert_eq!(data(&objects(&client)), ["a1"], "{throttle:?}");
        }
        pass(Duration::from_millis(100)).await;
        assert_eq!(data(&objects(&client)), ["a1", "a2"], "{throttle:?}");
    }
    // A session that had none.
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    resubscribe(&app, &endpoint, Some(10 * SECOND));
    settle().await;
    for event in ["b1", "b2"] {
        app.publish("b", event);
        pass(SECOND).await;
    }
    assert_eq!(data(&objects(&client)), ["b1"]);
    pass(10 * SECOND).await;
    assert_eq!(data(&objects(&client)), ["b1", "b2"]);
}

#[tokio::test(start_paused = true)]
async fn end_of_the_new_topics_in_the_interval_is_delivered_at_once() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let mut client = client(&app, &endpoint).await;
    change(&mut client, &["b"]).await;
    app.hub().finish("b", EndReason::Done).unwrap();
    settle().await;
    assert!(objects(&client).iter().any(|object| object["end"]["topic"] == "b"), "{:?}", objects(&client));
}
