use std::time::Duration;

use tidings::Transport;
use tokio::time::Instant;

use super::{People, app, hub};
use crate::support::http::{HELD, TestClient, To, get, pass, text};

#[tokio::test(start_paused = true)]
async fn short_poll_without_a_name_has_no_presence() {
    let hub = hub();
    let (endpoint, mut people) = (app(&hub).1.build(), People::of(&hub));
    for target in ["/?transport=short-poll&user=ann", "/?transport=short-poll&user=ann&session=a"] {
        get(target).to(&endpoint).await;
    }
    assert!(people.changes().is_empty(), "a name needs a limit key");
    assert_eq!(endpoint.stats().present_keys, 0);
}

#[tokio::test(start_paused = true)]
async fn poll_session_is_present_between_its_polls() {
    let hub = hub();
    let (endpoint, mut people) = (app(&hub).1.build(), People::of(&hub));
    let poll = || get("/?transport=short-poll&user=ann&key=k&session=a").to(&endpoint);
    for _ in 0..4 {
        poll().await;
        pass(Duration::from_secs(49)).await;
    }
    assert_eq!(people.changes(), ["ann is here"]);
    // The poll session ends 50 s after its last poll.
    pass(Duration::from_millis(5_900)).await;
    assert!(people.changes().is_empty());
    pass(Duration::from_millis(200)).await;
    assert_eq!(people.changes(), ["-ann"]);
}

#[tokio::test(start_paused = true)]
async fn long_poll_without_a_name_stays_present_if_it_polls_again_within_the_grace() {
    let hub = hub();
    let (endpoint, mut people) = (app(&hub).1.build(), People::of(&hub));
    for _ in 0..5 {
        let begin = Instant::now();
        text(get(&format!("/?wait=10&user=ann&cursor={}", hub.cursor())).to(&endpoint).await).await;
        assert!(begin.elapsed() >= Duration::from_secs(9), "the poll is held");
        pass(Duration::from_secs(4)).await;
    }
    assert_eq!(people.changes(), ["ann is here"]);
    pass(Duration::from_secs(2)).await;
    assert_eq!(people.changes(), ["-ann"]);
}

#[tokio::test(start_paused = true)]
async fn refused_request_has_no_presence() {
    let hub = hub();
    let (endpoint, mut people) = (app(&hub).1.max_sessions(1).build(), People::of(&hub));
    let response = get("/forbidden?transport=chunked&user=cid").to(&endpoint).await;
    assert_eq!(response.status(), 403);
    let _ann = TestClient::open(&endpoint, Transport::Sse, "/?user=ann").await;
    let response = get("/?transport=chunked&user=bob").to(&endpoint).await;
    assert_eq!(response.status(), 503, "{}", text(response).await);
    assert_eq!(people.changes(), ["ann is here"]);
    assert_eq!(endpoint.stats().present_keys, 1);
}

#[tokio::test(start_paused = true)]
async fn revoked_and_disconnected_sessions_are_removed() {
    let hub = hub();
    let (endpoint, mut people) = (app(&hub).1.build(), People::of(&hub));
    let mut clients = Vec::new();
    for user in ["ann", "bob"] {
        clients.push(TestClient::open(&endpoint, Transport::WebSocket, &format!("/?user={user}")).await);
    }
    assert_eq!(people.changes(), ["ann is here", "bob is here"]);
    let of =
        |user: &'static str| move |session: &tidings::Session| session.data::<String>().is_some_and(|is| is == user);
    assert_eq!((endpoint.revoke_where(of("ann")), endpoint.disconnect_where(of("bob"))), (1, 1));
    pass(Duration::from_secs(20)).await;
    let mut changes = people.changes();
    changes.sort();
    assert_eq!(changes, ["-ann", "-bob"]);
}

/// Subscribers of the presence are sessions of the same endpoint: a publish wakes them while their own sessions begin and end.
#[tokio::test(start_paused = true)]
async fn clients_of_the_presence_topic_see_themselves_and_each_other() {
    for transport in HELD {
        let hub = hub();
        let endpoint = app(&hub).1.build();
        let ann = TestClient::open(&endpoint, Transport::Sse, "/?topic=people&user=ann").await;
        assert!(ann.text().contains("ann is here"), "{transport:?}: {}", ann.text());
        let bob = TestClient::open(&endpoint, transport, "/?topic=people&user=bob").await;
        assert!(ann.text().contains("bob is here"), "{transport:?}: {}", ann.text());
        pass(Duration::from_secs(1)).await;
        assert!(bob.text().contains("bob is here"), "{transport:?}: {}", bob.text());
        bob.disconnect().await;
        assert!(!ann.text().contains("tidings.removed"));
        pass(Duration::from_secs(6)).await;
        assert!(ann.text().contains("tidings.removed"), "{transport:?}: {}", ann.text());
    }
}
