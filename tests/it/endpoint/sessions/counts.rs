use std::time::Duration;

use tidings::stats::SessionState;
use tidings::{Event, Topic, Transport};

use crate::support::http::{App, HELD, TestClient, get, pass, piece, settle};

#[tokio::test(start_paused = true)]
async fn session_info_counts_events_bytes_and_lag() {
    for transport in HELD {
        let app = App::with_limit_key();
        let endpoint = app.endpoint();
        let named = if transport == Transport::LongPoll { "?session=a" } else { "" };
        let client = TestClient::open(&endpoint, transport, &format!("/{named}")).await;
        let info = endpoint.sessions().remove(0);
        assert_eq!((info.session.transport(), info.state), (transport, SessionState::Open));
        assert_eq!((info.events, info.bytes, info.lag), (0, 0, Some(0)), "{transport:?}");
        assert!(info.cursor.is_some());
        pass(Duration::from_secs(3)).await;
        let cursor = app.publish("one");
        settle().await;
        let info = endpoint.sessions().remove(0);
        assert_eq!((info.events, info.cursor, info.lag), (1, cursor.parse().ok(), Some(0)), "{transport:?}");
        assert!(info.age >= Duration::from_secs(3) && info.bytes > 0);
        assert!(client.text().contains("one"));
        assert_eq!((info.gaps, info.missed, info.conflated), (0, 0, 0));
        assert_eq!(endpoint.stats().sessions_of(transport), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn lag_counts_events_not_yet_delivered() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let mut body = endpoint.handle(get("/?transport=chunked").body(String::new()).unwrap()).await.into_body();
    piece(&mut body).await.unwrap().unwrap();
    let lag = || endpoint.sessions()[0].lag;
    app.publish("one");
    piece(&mut body).await.unwrap().unwrap();
    assert_eq!(lag(), Some(0));
    for number in 0..5 {
        app.publish(&number.to_string());
    }
    app.hub.publish_now("of/another", "x").unwrap();
    assert_eq!(lag(), Some(6), "an upper bound: it may all be the client's");
    let mut left = 5;
    while left > 0 {
        left -= piece(&mut body).await.unwrap().unwrap().matches("\"data\"").count() as u64;
        assert_eq!(lag(), Some(left + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn gaps_and_missed_events_are_counted() {
    let app = App::with_short_history();
    let endpoint = app.endpoint();
    let mut body = endpoint.handle(get("/?transport=chunked").body(String::new()).unwrap()).await.into_body();
    piece(&mut body).await.unwrap().unwrap();
    for number in 0..5_000 {
        app.publish(&number.to_string());
    }
    let gap = piece(&mut body).await.unwrap().unwrap();
    let missed = gap.split("\"missed\":").nth(1).unwrap().split([',', '}']).next().unwrap().parse::<u64>().unwrap();
    let info = endpoint.sessions().remove(0);
    assert_eq!((info.gaps, info.missed, info.events), (1, missed, 0));
    while endpoint.sessions()[0].lag != Some(0) {
        piece(&mut body).await.unwrap().unwrap();
    }
    let info = endpoint.sessions().remove(0);
    assert_eq!(info.missed + info.events, 5_000);
}

#[tokio::test(start_paused = true)]
async fn websocket_bytes_are_counted_after_it_left() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let client = TestClient::open(&endpoint, Transport::WebSocket, "/").await;
    app.publish("12345678");
    settle().await;
    let bytes = endpoint.sessions()[0].bytes;
    assert_eq!(bytes, 10, "two bytes of a frame's head");
    client.disconnect().await;
    assert_eq!(endpoint.stats().bytes, bytes);
}

#[tokio::test(start_paused = true)]
async fn sessions_on_a_topic_follow_it_by_name_or_pattern() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let on = |topic: &str| endpoint.sessions_on(&Topic::new(topic).unwrap()).len();
    let mut clients = Vec::new();
    for (present, transport) in HELD.into_iter().enumerate() {
        clients.push(TestClient::open(&endpoint, transport, "/?topic=a&topic=b/c").await);
        assert_eq!((on("a"), on("b/c"), on("b")), (present + 1, present + 1, 0));
    }
    clients.push(TestClient::open(&endpoint, Transport::Sse, "/?pattern=b/*").await);
    assert_eq!((on("a"), on("b/c"), on("b/x"), on("b/x/y")), (4, 5, 1, 0));
    TestClient::open(&endpoint, Transport::ShortPoll, "/?topic=a").await;
    assert_eq!(on("a"), 4, "it is no session");
    // A session of polls follows the topics of its last poll, also between polls.
    TestClient::open(&endpoint, Transport::ShortPoll, "/?topic=a&session=s").await;
    assert_eq!((on("a"), on("z")), (5, 0));
    TestClient::open(&endpoint, Transport::ShortPoll, "/?topic=z&session=s").await;
    assert_eq!((on("a"), on("z")), (4, 1));
    for client in clients {
        client.disconnect().await;
    }
    assert_eq!((on("a"), on("b/c"), on("z")), (0, 0, 1));
    pass(Duration::from_secs(51)).await;
    assert_eq!((on("z"), endpoint.session_count()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn idle_session_gets_every_event_of_a_batch_larger_than_history() {
    for transport in HELD.into_iter().filter(|transport| *transport != Transport::LongPoll) {
        let app = App::with_limit_key();
        let endpoint = app.endpoint();
        let client = TestClient::open(&endpoint, transport, "/").await;
        let event = (Topic::new("news").unwrap(), Event::text("tick"));
        app.hub.publish_batch(std::iter::repeat_n(event, 5_000)).unwrap();
        assert_eq!(app.hub.stats().retained, 1_000);
        pass(Duration::from_secs(1)).await;
        let info = endpoint.sessions().remove(0);
        assert_eq!((info.events, info.gaps, info.lag), (5_000, 0, Some(0)), "{transport:?}");
        drop(client);
    }
}
