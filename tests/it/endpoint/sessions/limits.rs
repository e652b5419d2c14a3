use crate::support::http::{App, HELD, TestClient, To, get, settle, text};
use tidings::{SessionEnd, Transport};

/// Returns the response to a session above the limit. An idle session of short polls is evicted for it instead.
fn later(transport: Transport) -> &'static str {
    match transport {
        Transport::Sse => "Ended",
        Transport::ShortPoll => "200",
        _ => "503",
    }
}

#[tokio::test(start_paused = true)]
async fn session_above_max_sessions_per_key_is_refused_on_each_transport() {
    for &transport in Transport::ALL {
        let app = App::with_limit_key();
        let endpoint = app.builder().max_sessions_per_key(2).build();
        let mut here = Vec::new();
        for name in ["one", "two"] {
            here.push(TestClient::open(&endpoint, transport, &format!("/?key=k&session={name}")).await);
        }
        let mut turned_away = TestClient::open(&endpoint, transport, "/?key=k&session=three").await;
        assert_eq!(turned_away.finish().await, later(transport), "{transport:?}");
        assert_eq!(turned_away.text().contains("tidings.retry"), transport == Transport::Sse);
        // Sessions of another key, or without a key, are not limited by it.
        for query in ["key=other", "anonymous&session=x", "anonymous&session=y", "anonymous&session=z"] {
            let other = TestClient::open(&endpoint, transport, &format!("/?{query}")).await;
            assert_ne!(other.end().as_deref(), Some("503"), "{transport:?} {query}");
            here.push(other);
        }
        // An existing session of polls goes on.
        let poll = get("/?key=k&session=one").to(&endpoint).await.status().as_u16();
        let goes_on = matches!(transport, Transport::ShortPoll | Transport::LongPoll);
        assert_eq!(poll, if goes_on { 200 } else { 503 }, "{transport:?}");
        let refused = if goes_on { 1 } else { 2 };
        assert_eq!(endpoint.stats().refused_busy, if transport == Transport::ShortPoll { 0 } else { refused });
        for client in here {
            client.disconnect().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p18_every_end_of_a_session_releases_the_place_of_its_key() {
    for transport in HELD {
        let app = App::with_limit_key();
        let endpoint = app.builder().max_sessions_per_key(1).max_sessions(1).build();
        for round in 0..6 {
            let mut client = TestClient::open(&endpoint, transport, "/?key=k").await;
            assert_eq!((endpoint.session_count(), client.end()), (1, None), "{transport:?} {round}");
            let all = |_: &tidings::Session| true;
            match round {
                0 => app.publish("one").to_string(),
                1 => endpoint.disconnect_where(all).to_string(),
                2 => endpoint.revoke_where(all).to_string(),
                _ => String::new(),
            };
            settle().await;
            if client.end().is_some() || matches!(round, 1 | 2) {
                client.finish().await;
            }
            client.disconnect().await;
            assert_eq!(endpoint.session_count(), 0, "{transport:?} {round}");
        }
        assert_eq!((app.left().len(), endpoint.stats().joined), (6, 6));
        assert!(app.left().iter().any(|&(_, why)| why == SessionEnd::Revoked));
    }
}

#[tokio::test(start_paused = true)]
async fn idle_poll_sessions_count_against_max_sessions_and_are_evicted() {
    let app = App::with_limit_key();
    let endpoint = app.builder().max_sessions(3).build();
    let mut reported = Vec::new();
    for name in 0..10 {
        let answer = get(&format!("/?session={name}")).to(&endpoint).await;
        reported.push(answer.status().as_u16());
        text(answer).await;
    }
    assert_eq!((reported.iter().filter(|&&status| status == 200).count(), endpoint.session_count()), (10, 3));
    assert_eq!(get("/?session=9").to(&endpoint).await.status(), 200);
    assert_eq!(app.left().len(), 7, "session 9 goes on");
    assert_eq!(get("/").to(&endpoint).await.status(), 200, "it is no session");
    assert_eq!(get("/?wait=0").to(&endpoint).await.status(), 200);
}
