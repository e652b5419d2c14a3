use std::time::Duration;

use tidings::{Session, Transport};

use super::{People, app, hub};
use crate::support::http::{App, HELD, TestClient, pass};

const NONE: [&str; 0] = [];

#[tokio::test(start_paused = true)]
async fn first_session_of_a_key_publishes_and_the_last_one_removes_after_the_grace() {
    for transport in HELD {
        let hub = hub();
        let (endpoint, mut people) = (app(&hub).1.build(), People::of(&hub));
        let first = TestClient::open(&endpoint, transport, "/?user=ann").await;
        assert_eq!(people.changes(), ["ann is here"], "{transport:?}");
        assert_eq!((endpoint.stats().present_keys, endpoint.stats().presence_changes), (1, 1));
        pass(Duration::from_secs(2)).await;
        let second = TestClient::open(&endpoint, Transport::Sse, "/?user=ann").await;
        first.disconnect().await;
        pass(Duration::from_secs(10)).await;
        assert_eq!(people.changes(), NONE, "a session is left");
        second.disconnect().await;
        pass(Duration::from_millis(4_900)).await;
        assert_eq!(people.changes(), NONE);
        pass(Duration::from_millis(200)).await;
        assert_eq!(people.changes(), ["-ann"], "{transport:?}");
        pass(Duration::from_secs(1)).await;
        let stats = endpoint.stats();
        assert_eq!((stats.present_keys, stats.presence_changes, stats.refused_presence), (0, 2, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn session_that_begins_within_the_grace_makes_no_change() {
    let hub = hub();
    let (endpoint, mut people) = (app(&hub).1.reconnect_grace(Duration::from_secs(3)).build(), People::of(&hub));
    let mut client = TestClient::open(&endpoint, Transport::Sse, "/?user=ann").await;
    assert_eq!(people.changes(), ["ann is here"]);
    for _ in 0..10 {
        client.disconnect().await;
        pass(Duration::from_millis(2_900)).await;
        client = TestClient::open(&endpoint, Transport::WebSocket, "/?user=ann").await;
    }
    client.disconnect().await;
    pass(Duration::from_millis(2_900)).await;
    assert_eq!(people.changes(), NONE);
    pass(Duration::from_millis(200)).await;
    assert_eq!(people.changes(), ["-ann"]);
}

#[tokio::test(start_paused = true)]
async fn other_event_of_a_newer_session_is_published_at_most_once_a_second() {
    let hub = hub();
    let (endpoint, mut people) = (app(&hub).1.build(), People::of(&hub));
    let mut clients = Vec::new();
    for user in ["ann", "ann:away", "ann:busy", "ann", "ann:back"] {
        clients.push(TestClient::open(&endpoint, Transport::Sse, &format!("/?user={user}")).await);
    }
    assert_eq!(people.changes(), ["ann is here"]);
    pass(Duration::from_millis(1_010)).await;
    assert_eq!(people.changes(), ["ann is back"]);
    clients.pop().unwrap().disconnect().await;
    pass(Duration::from_secs(10)).await;
    assert_eq!(people.changes(), NONE, "the event of the newest session stays");
}

#[tokio::test(start_paused = true)]
async fn session_without_grace_is_removed_a_second_after_its_begin() {
    let hub = hub();
    let (endpoint, mut people) = (app(&hub).1.reconnect_grace(Duration::ZERO).build(), People::of(&hub));
    TestClient::open(&endpoint, Transport::Sse, "/?user=ann").await.disconnect().await;
    assert_eq!(people.changes(), ["ann is here"]);
    pass(Duration::from_millis(1_010)).await;
    assert_eq!(people.changes(), ["-ann"]);
    let long = TestClient::open(&endpoint, Transport::Sse, "/?user=ann").await;
    assert_eq!(people.changes(), NONE, "a second has not passed since the removal");
    pass(Duration::from_secs(3)).await;
    assert_eq!(people.changes(), ["ann is here"]);
    long.disconnect().await;
    assert_eq!(people.changes(), ["-ann"], "at once");
}

#[tokio::test(start_paused = true)]
async fn session_with_several_keys_is_present_under_each() {
    let hub = hub();
    let app = App::with_hub(hub.clone());
    let builder = app.builder().presence(&hub, |session: &Session| {
        let users = session.data::<String>().cloned().unwrap_or_default();
        users.split('+').map(|user| ("people", user.to_owned(), user.to_owned())).collect::<Vec<_>>()
    });
    let (endpoint, mut people) = (builder.build(), People::of(&hub));
    let both = TestClient::open(&endpoint, Transport::Sse, "/?user=ann%2Bbob").await;
    let bob = TestClient::open(&endpoint, Transport::Chunked, "/?user=bob").await;
    assert_eq!(people.changes(), ["ann", "bob"]);
    both.disconnect().await;
    pass(Duration::from_secs(6)).await;
    assert_eq!(people.changes(), ["-ann"]);
    bob.disconnect().await;
    pass(Duration::from_secs(6)).await;
    assert_eq!(people.changes(), ["-bob"]);
}
