use std::time::Duration;

use tidings::Transport;

use super::{People, app, hub};
use crate::support::http::{TestClient, pass};

#[tokio::test(start_paused = true)]
async fn drain_publishes_no_removals() {
    let hub = hub();
    let (endpoint, mut people) = (app(&hub).1.build(), People::of(&hub));
    let mut clients = Vec::new();
    for user in ["ann", "bob", "cid"] {
        clients.push(TestClient::open(&endpoint, Transport::Sse, &format!("/?user={user}")).await);
    }
    assert_eq!(people.changes().len(), 3);
    // The removal of this one is due when the drain begins.
    clients.pop().unwrap().disconnect().await;
    endpoint.drain().await;
    drop(clients);
    pass(Duration::from_secs(60)).await;
    assert_eq!((endpoint.session_count(), endpoint.stats().present_keys), (0, 0));
    assert!(people.changes().is_empty());
    drop(endpoint);
    pass(Duration::from_secs(60)).await;
    assert!(people.changes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn endpoint_that_is_dropped_without_a_drain_publishes_removals_at_once() {
    let hub = hub();
    let (endpoint, mut people) = (app(&hub).1.build(), People::of(&hub));
    let ann = TestClient::open(&endpoint, Transport::Sse, "/?user=ann").await;
    let bob = TestClient::open(&endpoint, Transport::WebSocket, "/?user=bob").await;
    drop(endpoint);
    assert_eq!(people.changes(), ["ann is here", "bob is here"]);
    ann.disconnect().await;
    pass(Duration::from_secs(6)).await;
    assert_eq!(people.changes(), ["-ann"], "a session is left, so the endpoint lives");
    bob.disconnect().await;
    pass(Duration::ZERO).await;
    assert_eq!(people.changes(), ["-bob"]);
}

/// The hub is local, so a restarted process has another one. A client that reconnects there drops the users of the old hub.
#[tokio::test(start_paused = true)]
async fn client_of_a_drained_endpoint_gets_the_users_of_the_next_one_only() {
    let (old, new) = (hub(), hub());
    let endpoint = app(&old).1.build();
    let client = TestClient::open(&endpoint, Transport::Sse, "/?topic=people&user=ann").await;
    let _bob = TestClient::open(&endpoint, Transport::Sse, "/?user=bob").await;
    endpoint.drain().await;
    let received = client.text();
    assert!(received.contains("bob is here") && !received.contains("tidings.removed"), "{received}");
    let cursor = received.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().unwrap();

    let endpoint = app(&new).1.build();
    let client = TestClient::open(&endpoint, Transport::Sse, &format!("/?topic=people&user=ann&cursor={cursor}")).await;
    let _cid = TestClient::open(&endpoint, Transport::Sse, "/?user=cid").await;
    let received = client.text();
    let gap = received.find("event: tidings.gap").unwrap();
    assert!(received[gap..].contains("\"snapshot\":true"), "{received}");
    assert!(received[gap..].contains("ann is here") && received[gap..].contains("cid is here"), "{received}");
    assert!(!received.contains("bob"), "{received}");
}
