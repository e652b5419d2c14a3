use std::time::Duration;

use tidings::{EndReason, Endpoint};
use tokio::io::DuplexStream;
use tokio::time::Instant;

use super::script::{Script, id};
use crate::support::http::{Frame, RawClient, frame, pass, serve_pipe, upgrade_request};

const OBJECTS: &str = "Sec-WebSocket-Protocol: tidings.v1\r\n";

/// Opens a WebSocket in virtual time.
async fn open(endpoint: &Endpoint, target: &str, extra: &str) -> RawClient<DuplexStream> {
    let mut client = RawClient::over(serve_pipe(endpoint, 4096));
    client.send(upgrade_request(target, extra)).await;
    assert!(client.head().await.starts_with("http/1.1 101 "));
    client
}

/// Opens a WebSocket after the end, and returns its frames up to the Close, which it answers. The Close comes after a second,
/// and all else comes at once.
async fn frames(script: &Script, target: &str, extra: &str) -> Vec<Frame> {
    let begin = Instant::now();
    let mut client = open(&script.endpoint(), target, extra).await;
    let (mut frames, mut before) = (Vec::new(), Duration::ZERO);
    while frames.last().is_none_or(|Frame(first, _)| *first != 0x88) {
        before = begin.elapsed();
        frames.push(client.frame().await);
    }
    assert_eq!(before, Duration::ZERO);
    let pause = begin.elapsed().as_millis();
    assert!((1_000..=1_010).contains(&pause), "{pause} ms");
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
#[tokio::test(start_paused = true)]
async fn raw_websocket_that_comes_after_the_end_is_closed_without_the_history() {
    for target in ["/", "/?topic=news", "/?opening"] {
        let script = ended();
        assert_eq!(frames(&script, target, "").await, [Frame::close(1000, "finished")]);
        assert_eq!((script.calls(), script.sessions()), (1, vec!["joined".to_owned(), "left Finished".to_owned()]));
    }
}

#[tokio::test(start_paused = true)]
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

#[tokio::test(start_paused = true)]
async fn raw_websocket_of_a_live_topic_gets_the_history() {
    let script = Script::new();
    script.feed.event("news", "first");
    script.feed.topic_end("scores", EndReason::Done);
    let mut client = open(&script.endpoint(), "/", "").await;
    assert_eq!(client.frame().await, Frame::text("first"));
    script.feed.event("news", "second");
    assert_eq!(client.frame().await, Frame::text("second"));
    let begin = Instant::now();
    script.feed.last_topic_end("news", EndReason::Done);
    assert_eq!(client.frame().await, Frame::close(1000, "finished"));
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
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

/// Opens a WebSocket that gets nothing but the end, and reads all before the Close.
async fn paused(script: &Script, endpoint: &Endpoint, extra: &str) -> RawClient<DuplexStream> {
    let mut client = open(endpoint, &format!("/?cursor={}", id(3)), extra).await;
    for _ in 0..if extra.is_empty() { 0 } else { 2 } {
        assert_eq!(client.frame().await.0, 0x81);
    }
    pass(Duration::from_millis(300)).await;
    assert_eq!((endpoint.session_count(), script.sessions()), (1, vec!["joined".to_owned()]));
    client
}

#[tokio::test(start_paused = true)]
async fn close_of_the_client_ends_the_pause_before_the_close_at_the_end() {
    for extra in ["", OBJECTS] {
        let script = ended();
        let endpoint = script.endpoint();
        let mut client = paused(&script, &endpoint, extra).await;
        let begin = Instant::now();
        client.send(frame(8, &1001_u16.to_be_bytes())).await;
        assert_eq!(client.frame().await, Frame::close(1001, ""));
        assert_eq!(client.until_end().await, "");
        assert_eq!(begin.elapsed(), Duration::ZERO);
        assert_eq!((endpoint.session_count(), script.sessions()), (0, vec!["left Finished".to_owned()]));

        // The client may also be gone without a Close.
        let client = paused(&script, &endpoint, extra).await;
        let begin = Instant::now();
        drop(client);
        pass(Duration::from_millis(1)).await;
        assert!(begin.elapsed() < Duration::from_millis(10));
        assert_eq!((endpoint.session_count(), script.sessions()), (0, vec!["left Finished".to_owned()]));
    }
}

/// Code 1012 would make the client reconnect.
#[tokio::test(start_paused = true)]
async fn drain_ends_the_pause_before_the_close_at_the_end_with_1000() {
    for extra in ["", OBJECTS] {
        let script = ended();
        let endpoint = script.endpoint();
        let mut client = paused(&script, &endpoint, extra).await;
        let begin = Instant::now();
        let drain = tokio::spawn(endpoint.drain());
        assert_eq!(client.frame().await, Frame::close(1000, "finished"));
        assert!(begin.elapsed() < Duration::from_millis(100));
        client.send(frame(8, &1000_u16.to_be_bytes())).await;
        assert_eq!(client.until_end().await, "");
        drain.await.unwrap();
        assert_eq!(script.sessions(), ["left Finished"]);
    }
}

#[tokio::test(start_paused = true)]
async fn revocation_ends_the_pause_before_the_close_at_the_end_with_1008() {
    let script = ended();
    let endpoint = script.endpoint();
    let mut client = paused(&script, &endpoint, OBJECTS).await;
    let begin = Instant::now();
    assert!(endpoint.revoke(endpoint.sessions()[0].session.id()));
    assert_eq!(client.frame().await, Frame::close(1008, "revoked"));
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn messages_in_the_pause_before_the_close_at_the_end_are_ignored_and_pings_answered() {
    let script = ended();
    let endpoint = script.endpoint();
    let mut client = paused(&script, &endpoint, OBJECTS).await;
    let begin = Instant::now();
    for _ in 0..5 {
        client.send(frame(1, b"hello")).await;
        client.send(frame(9, b"ping")).await;
        assert_eq!(client.frame().await, Frame(0x8A, b"ping".to_vec()));
    }
    assert_eq!(client.frame().await, Frame::close(1000, "finished"));
    let pause = begin.elapsed().as_millis();
    assert!((690..=710).contains(&pause), "{pause} ms");
    assert_eq!(endpoint.stats().ignored_messages, 0);
}

/// The limits hold as for an open connection.
#[tokio::test(start_paused = true)]
async fn flood_in_the_pause_before_the_close_at_the_end_closes_with_1008() {
    for (opcode, most) in [(1, 100), (9, 10)] {
        let script = ended();
        let endpoint = script.endpoint();
        let mut client = paused(&script, &endpoint, "").await;
        let begin = Instant::now();
        for _ in 0..=most {
            client.send(frame(opcode, b"")).await;
        }
        let close = loop {
            match client.frame().await {
                Frame(0x8A, _) => {}
                Frame(first, payload) => break (first, payload[..2].to_vec()),
            }
        };
        assert_eq!((close, begin.elapsed()), ((0x88, 1008_u16.to_be_bytes().to_vec()), Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn violation_in_the_pause_before_the_close_at_the_end_closes_at_once() {
    let script = ended();
    let endpoint = script.endpoint();
    let mut client = paused(&script, &endpoint, "").await;
    let begin = Instant::now();
    // A frame that is not masked.
    client.send([0x81, 1, b'x']).await;
    let Frame(first, payload) = client.frame().await;
    assert_eq!((first, &payload[..2]), (0x88, &1002_u16.to_be_bytes()[..]));
    assert_eq!(begin.elapsed(), Duration::ZERO);
}
