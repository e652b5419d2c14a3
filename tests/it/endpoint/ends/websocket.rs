use tidings::EndReason;

use super::script::{Script, id};
use crate::support::http::{Frame, RawClient, frame, serve_http1, upgrade_request};

const OBJECTS: &str = "Sec-WebSocket-Protocol: tidings.v1\r\n";

/// Opens a WebSocket, and returns its frames up to the Close, which it answers.
async fn frames(script: &Script, target: &str, extra: &str) -> Vec<Frame> {
    let mut client = RawClient::connect(serve_http1(&script.endpoint()).await).await;
    client.send(upgrade_request(target, extra)).await;
    assert!(client.head().await.starts_with("http/1.1 101 "));
    let mut frames = Vec::new();
    while frames.last().is_none_or(|Frame(first, _)| *first != 0x88) {
        frames.push(client.frame().await);
    }
    client.send(frame(8, &1000_u16.to_be_bytes())).await;
    assert_eq!(client.until_end().await, "");
    frames
}

fn ended() -> Script {
    let script = Script::new();
    script.feed.event("news", "first");
    script.feed.topic_end("scores", EndReason::Done);
    script.feed.last_topic_end("news", EndReason::Done);
    script
}

/// Clients of raw frames reconnect without a cursor, so they would replay the history for ever.
#[tokio::test]
async fn raw_websocket_that_comes_after_the_end_is_closed_without_the_history() {
    for target in ["/", "/?topic=news", "/?opening"] {
        let script = ended();
        assert_eq!(frames(&script, target, "").await, [Frame::close(1000, "finished")]);
        assert_eq!((script.calls(), script.sessions()), (1, vec!["joined".to_owned(), "left Finished".to_owned()]));
    }
}

#[tokio::test]
async fn raw_websocket_with_a_session_or_a_start_gets_the_history_after_the_end() {
    let cursor = format!("/?cursor={}", id(0));
    for target in ["/?session=tab", &cursor, "/?start=oldest", "/?last=5"] {
        let script = ended();
        let expected = [Frame::text("first"), Frame::close(1000, "finished")];
        assert_eq!(frames(&script, target, "").await, expected);
        assert_eq!(script.sessions(), ["joined", "left Finished"]);
    }
    // Nothing is left after the cursor.
    assert_eq!(frames(&ended(), &format!("/?cursor={}", id(3)), "").await, [Frame::close(1000, "finished")]);
}

#[tokio::test]
async fn raw_websocket_of_a_live_topic_gets_the_history() {
    let script = Script::new();
    script.feed.event("news", "first");
    script.feed.topic_end("scores", EndReason::Done);
    let mut client = RawClient::connect(serve_http1(&script.endpoint()).await).await;
    client.send(upgrade_request("/", "")).await;
    client.head().await;
    assert_eq!(client.frame().await, Frame::text("first"));
    script.feed.event("news", "second");
    assert_eq!(client.frame().await, Frame::text("second"));
    script.feed.last_topic_end("news", EndReason::Done);
    assert_eq!(client.frame().await, Frame::close(1000, "finished"));
}

#[tokio::test]
async fn objects_after_the_end_are_the_history_with_each_end() {
    let text = |text: String| Frame::text(&text);
    let all = [
        text(format!("{{\"tidings\":\"hello\",\"cursor\":\"{}\",\"heartbeat_ms\":25000}}", id(0))),
        text(format!("{{\"id\":\"{}\",\"topic\":\"news\",\"data\":\"first\"}}", id(1))),
        text(format!("{{\"id\":\"{}\",\"end\":{{\"topic\":\"scores\",\"reason\":\"done\"}}}}", id(2))),
        text(format!("{{\"id\":\"{}\",\"end\":{{\"topic\":\"news\",\"reason\":\"done\"}}}}", id(3))),
        Frame::close(1000, "finished"),
    ];
    assert_eq!(frames(&ended(), "/", OBJECTS).await, all);
    let at_the_end = [
        text(format!("{{\"tidings\":\"hello\",\"cursor\":\"{}\",\"heartbeat_ms\":25000}}", id(3))),
        text(format!("{{\"id\":\"{}\",\"end\":{{}}}}", id(3))),
        Frame::close(1000, "finished"),
    ];
    assert_eq!(frames(&ended(), &format!("/?cursor={}", id(3)), OBJECTS).await, at_the_end);
}
