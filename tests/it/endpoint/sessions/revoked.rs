use std::time::Duration;

use tidings::stats::SessionState;
use tidings::{Session, SessionEnd, Transport};

use crate::support::http::{App, HELD, TestClient, get, pass, piece, settle};

fn saw(transport: Transport) -> &'static str {
    match transport {
        Transport::WebSocket => "1008 revoked",
        Transport::LongPoll => "401 with a challenge",
        _ => "Revoked",
    }
}

#[tokio::test(start_paused = true)]
async fn no_event_is_sent_after_revoke_returns() {
    for transport in HELD {
        let app = App::with_limit_key();
        let endpoint = app.endpoint();
        let mut client = TestClient::open(&endpoint, transport, "/").await;
        if transport != Transport::LongPoll {
            app.publish("before");
            settle().await;
            assert!(client.text().contains("before"));
        }
        // Ready, and not taken.
        app.publish("published before, not sent");
        assert_eq!(endpoint.revoke_where(|_| true), 1, "{transport:?}");
        app.publish("after");
        assert_eq!(endpoint.stats().sessions_in(SessionState::Leaving), 1);
        assert_eq!(client.finish().await, saw(transport));
        assert!(!client.text().contains("published") && !client.text().contains("after"), "{}", client.text());
        assert_eq!(app.end_reason(), SessionEnd::Revoked, "{transport:?}");
        assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn revoke_drops_ready_bytes_of_an_unread_body() {
    for transport in ["sse", "chunked"] {
        let app = App::with_limit_key();
        let endpoint = app.endpoint();
        let target = format!("/?transport={transport}");
        let mut body = endpoint.handle(get(&target).body(String::new()).unwrap()).await.into_body();
        piece(&mut body).await.unwrap().unwrap();
        app.publish("one");
        endpoint.revoke_where(|_| true);
        assert_eq!(app.hub.stats().subscriptions, 0, "without a further poll of the body");
        assert_eq!(piece(&mut body).await, Some(Err(tidings::BodyError::Revoked)));
        drop(body);
        assert_eq!(app.end_reason(), SessionEnd::Revoked);
    }
    // A session that is never polled again ends nevertheless.
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let body = endpoint.handle(get("/?transport=sse").body(String::new()).unwrap()).await;
    endpoint.revoke_where(|_| true);
    pass(Duration::from_secs(11)).await;
    assert_eq!((app.end_reason(), endpoint.session_count()), (SessionEnd::Revoked, 0));
    drop(body);
    assert_eq!(app.session_events().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn revoke_drops_the_queue_of_an_unread_websocket() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    // The pipe has room for the head and no event. The client reads on after the server has given up.
    let mut client = TestClient::open_websocket(&endpoint, "/?transport=websocket", 64).await;
    for number in 0..100 {
        app.publish(&format!("{number} {}", "x".repeat(50)));
    }
    // Only bytes that fit into the pipe are written before the revocation.
    tokio::task::yield_now().await;
    endpoint.revoke_where(|_| true);
    let before = client.text();
    let end = client.finish().await;
    assert!(end == "lost" || end == "1008 revoked", "{end}");
    let more = client.text().len() - before.len();
    assert!(more <= 300, "{more} bytes after it: {}", client.text());
    assert_eq!(app.end_reason(), SessionEnd::Revoked);
}

/// Revokes between two steps of a delivery, as another thread could: the event has left its source and is not sent.
#[tokio::test(start_paused = true)]
async fn revoke_during_a_delivery_stops_the_event() {
    for &transport in Transport::ALL {
        let app = App::with_limit_key();
        let endpoint = app.endpoint();
        let by = endpoint.clone();
        app.on_delivery(move || assert_eq!(by.revoke_where(|_| true), 1));
        let name = if transport == Transport::ShortPoll { "?session=a&oldest" } else { "?oldest" };
        app.publish("the event");
        let mut client = TestClient::open(&endpoint, transport, &format!("/{name}")).await;
        let expected = if transport == Transport::ShortPoll { "401 with a challenge" } else { saw(transport) };
        assert_eq!(client.finish().await, expected, "{transport:?}");
        assert!(!client.text().contains("the event"), "{transport:?}: {}", client.text());
        assert_eq!((app.end_reason(), app.deliveries().1), (SessionEnd::Revoked, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn revoke_overrides_a_disconnect() {
    for transport in HELD {
        let app = App::with_limit_key();
        let endpoint = app.endpoint();
        let mut client = TestClient::open(&endpoint, transport, "/").await;
        let meant = |session: &Session| session.transport() == transport;
        app.publish("one");
        assert_eq!(endpoint.disconnect_where(meant), 1);
        assert_eq!(endpoint.revoke_where(meant), 1, "an event may be on its way out");
        assert_eq!((endpoint.disconnect_where(meant), endpoint.revoke_where(meant)), (0, 0));
        assert_eq!(client.finish().await, saw(transport), "{transport:?}");
        assert!(!client.text().contains("one"), "{}", client.text());
        assert_eq!(app.end_reason(), SessionEnd::Revoked);
    }
}

#[tokio::test(start_paused = true)]
async fn revoke_where_selects_sessions_by_data_name_and_key() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let clients = ["user=ann&key=x", "user=bob&key=x&session=tab", "key=y"];
    let mut here = Vec::new();
    for query in clients {
        here.push(TestClient::open(&endpoint, Transport::Sse, &format!("/?{query}")).await);
    }
    let ids: Vec<_> = endpoint.sessions().iter().map(|info| info.session.id()).collect();
    assert_eq!(endpoint.revoke_where(|session| session.data::<String>().is_some_and(|user| user == "ann")), 1);
    assert_eq!(endpoint.revoke_where(|session| session.key() == Some("x")), 1);
    assert_eq!(endpoint.revoke_where(|session| session.data::<u32>().is_some()), 0);
    assert_eq!(endpoint.disconnect_where(|session| session.name().is_none()), 1);
    for mut client in here {
        client.finish().await;
    }
    let mut left = app.left();
    left.sort_unstable_by_key(|&(id, _)| id);
    assert_eq!(left, [(1, SessionEnd::Revoked), (2, SessionEnd::Revoked), (3, SessionEnd::Disconnected)]);
    // The sessions have ended.
    assert!(ids.iter().all(|&id| !endpoint.revoke(id) && !endpoint.disconnect(id)));
}
