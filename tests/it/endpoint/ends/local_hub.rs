//! Topics of a `LocalHub` that end.

use http::StatusCode;
use tidings::{EndReason, Endpoint, LocalHub, SessionEnd};

use crate::support::http::{App, Frame, RawClient, To, get, header, piece, serve_pipe, text, upgrade_request};

#[tokio::test(start_paused = true)]
async fn event_source_gets_the_end_and_then_204() {
    let app = App::new();
    let endpoint = app.endpoint();
    let mut body = get("/?transport=sse&topic=a&topic=b").to(&endpoint).await.into_body();
    piece(&mut body).await;
    app.hub.finish("a", EndReason::Done).unwrap();
    assert!(piece(&mut body).await.unwrap().unwrap().starts_with("event: tidings.topic_end\n"));
    app.hub.finish("b", EndReason::Failed).unwrap();
    let end = piece(&mut body).await.unwrap().unwrap();
    assert!(end.starts_with("event: tidings.end\nretry: 86400000\n") && end.contains("\"reason\":\"failed\""), "{end}");
    assert_eq!(piece(&mut body).await, None);
    drop(body);
    assert_eq!(app.end_reason(), SessionEnd::Finished);

    let id = end.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    for topics in ["topic=a&topic=b", "topic=a", "topic=b"] {
        let back = get(&format!("/?transport=sse&{topics}")).header("last-event-id", id).to(&endpoint).await;
        assert_eq!(back.status(), StatusCode::NO_CONTENT, "{topics}");
    }
    // Another topic is live.
    let live = get("/?transport=sse&topic=a&topic=c").header("last-event-id", id).to(&endpoint).await;
    assert_eq!(live.status(), StatusCode::OK);
}

/// A subscription of a pattern never ends, whether or not it names ended topics, too.
#[tokio::test(start_paused = true)]
async fn pattern_of_ended_topics_is_no_end() {
    let app = App::new();
    let endpoint = app.endpoint();
    let cursor = app.hub.finish("rooms/1", EndReason::Done).unwrap().cursor;
    let back = get("/?transport=sse&pattern=rooms/*").header("last-event-id", cursor.to_string()).to(&endpoint).await;
    assert_eq!(back.status(), StatusCode::OK);
    let poll = get(&format!("/?transport=short-poll&pattern=rooms/*&cursor={cursor}")).to(&endpoint).await;
    assert!(!text(poll).await.contains("\"end\""));
}

/// A raw WebSocket without a cursor does not get the history of an ended topic, though the application starts at the oldest
/// event.
#[tokio::test(start_paused = true)]
async fn raw_websocket_of_an_ended_topic_is_closed_without_the_history() {
    let app = App::new();
    app.publish("first");
    app.hub.finish("news", EndReason::Done).unwrap();
    let endpoint = app.endpoint();
    for (target, expected) in [
        ("/?oldest", &[Frame::close(1000, "finished")][..]),
        ("/?oldest&session=tab", &[Frame::text("first"), Frame::close(1000, "finished")]),
    ] {
        let mut client = RawClient::over(serve_pipe(&endpoint, 4096));
        client.send(upgrade_request(target, "")).await;
        client.head().await;
        for frame in expected {
            assert_eq!(client.frame().await, *frame, "{target}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn first_poll_of_an_ended_topic_is_an_end_at_once() {
    let hub = LocalHub::new();
    let endpoint = Endpoint::public(&hub, ["news"]);
    hub.publish_now("news", "old").unwrap();
    let end = hub.finish("news", EndReason::Done).unwrap();
    for target in ["/?transport=short-poll", "/?wait=20"] {
        let response = get(target).to(&endpoint).await;
        assert_eq!(header(&response, "tidings-retry-ms"), "86400000");
        let object = format!("{{\"id\":\"{}\",\"end\":{{\"topic\":\"news\",\"reason\":\"done\"}}}}", end.cursor);
        assert_eq!(
            text(response).await,
            format!("{{\"cursor\":\"{}\",\"events\":[{object}],\"end\":true}}", end.cursor)
        );
    }
}
