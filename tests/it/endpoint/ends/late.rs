//! Clients that connect after the end, and ignore it: at most one request in a second. A client that was connected at the end
//! is not delayed.

use std::time::Duration;

use tidings::{EndReason, GapReason};
use tokio::time::Instant;

use super::script::{Script, id, reserved};
use crate::support::http::{To, get, pass, piece, text};

/// Returns a script of one topic that has ended after one event.
fn ended() -> Script {
    let script = Script::new();
    script.feed.event("news", "first");
    script.feed.last_topic_end("news", EndReason::Done);
    script
}

/// Returns the reply to a poll, and the time after which it came.
async fn poll(script: &Script, target: &str) -> (String, u128) {
    let begin = Instant::now();
    let reply = text(get(target).to(&script.endpoint()).await).await;
    (reply, begin.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn long_poll_after_the_end_is_held_for_a_second_unless_the_reply_has_events() {
    let script = ended();
    let before = format!("/?wait=20&cursor={}", id(1));
    for target in [&before, &format!("{before}&session=tab"), &format!("/?wait=20&cursor={}", id(2))] {
        let (reply, millis) = poll(&script, target).await;
        assert!(reply.ends_with("\"end\":true}") && (1_000..=1_010).contains(&millis), "{reply} after {millis} ms");
    }
    for target in ["/?wait=20", &format!("/?wait=20&cursor={}", id(0))] {
        let (reply, millis) = poll(&script, target).await;
        assert!(reply.contains("\"first\"") && reply.ends_with("\"end\":true}"), "{reply}");
        assert_eq!(millis, 0);
    }
    // Without a cursor, and nothing but ends.
    let script = Script::new();
    script.feed.topic_end("scores", EndReason::Done);
    script.feed.last_topic_end("news", EndReason::Failed);
    let (reply, millis) = poll(&script, "/?wait=20").await;
    assert!(reply.contains("\"failed\"") && reply.ends_with("\"end\":true}"), "{reply}");
    assert!((1_000..=1_010).contains(&millis), "{millis} ms");
    assert_eq!(poll(&script, "/?transport=short-poll").await.1, 0);
    // A gap is no event, and a client may repeat the cursor that has caused it.
    let script = Script::new();
    script.feed.gap(GapReason::Evicted, None);
    script.feed.last_topic_end("news", EndReason::Done);
    let (reply, millis) = poll(&script, "/?wait=20").await;
    assert!(reply.contains("\"gap\"") && (1_000..=1_010).contains(&millis), "{reply} after {millis} ms");
}

#[tokio::test(start_paused = true)]
async fn drain_answers_a_held_long_poll_with_the_last_end_at_once() {
    let endpoint = ended().endpoint();
    let held = tokio::spawn(text(get(&format!("/?wait=20&cursor={}", id(1))).to(&endpoint).await));
    assert!(held.await.unwrap().contains("\"reason\":\"done\""));
    let request = get(&format!("/?wait=20&cursor={}", id(1))).body(String::new()).unwrap();
    let held = tokio::spawn(endpoint.handle(request));
    pass(Duration::from_millis(300)).await;
    let begin = Instant::now();
    tokio::spawn(endpoint.drain());
    let reply = text(held.await.unwrap()).await;
    assert!(reply.contains("\"reason\":\"done\"") && reply.ends_with("\"end\":true}"), "{reply}");
    assert!(begin.elapsed() < Duration::from_millis(100));
}

/// Reads a stream of NDJSON. Returns its lines, the time of the last one, and the time of its end.
async fn lines(script: &Script, target: &str) -> (String, u128, u128) {
    let begin = Instant::now();
    let mut body = get(target).to(&script.endpoint()).await.into_body();
    let (mut read, mut last) = (String::new(), 0);
    while let Some(piece) = piece(&mut body).await {
        read += &piece.unwrap();
        last = begin.elapsed().as_millis();
    }
    (read, last, begin.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn ndjson_after_the_end_is_sent_at_once_and_its_body_ends_after_a_second() {
    let script = ended();
    for (cursor, events) in [(0, 1), (1, 0), (2, 0)] {
        let (read, last, end) = lines(&script, &format!("/?transport=chunked&cursor={}", id(cursor))).await;
        assert_eq!((read.matches("\"first\"").count(), read.matches("\"end\":").count()), (events, 1), "{read}");
        assert!(last == 0 && (1_000..=1_010).contains(&end), "{last} ms, {end} ms");
        assert_eq!(script.sessions(), ["joined", "left Finished"]);
    }
    let (read, last, end) = lines(&script, "/?transport=chunked&heartbeat=visible&opening").await;
    assert!(read.contains("\"state\"") && read.contains("\"end\":") && !read.contains("heartbeat\""), "{read}");
    assert!(last == 0 && (1_000..=1_010).contains(&end), "{last} ms, {end} ms");
}

/// Its publisher is not asked, so the whole answer waits.
#[tokio::test(start_paused = true)]
async fn ndjson_with_the_reserved_cursor_is_answered_after_a_second() {
    let script = Script::new();
    let target = format!("/?transport=chunked&cursor={}", reserved());
    let (read, _, end) = lines(&script, &target).await;
    assert!(read.ends_with("\"end\":{}}\n") && (1_000..=1_010).contains(&end), "{read} after {end} ms");
    let begin = Instant::now();
    let full = script.builder().max_soft_rejects(0).build();
    assert!(text(get(&target).to(&full).await).await.ends_with("\"end\":{}}\n"));
    drop(full.drain());
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn drain_in_the_pause_before_the_end_of_ndjson_ends_the_body_cleanly_at_once() {
    let script = ended();
    let endpoint = script.endpoint();
    let mut body = get("/?transport=chunked").to(&endpoint).await.into_body();
    let mut read = String::new();
    while !read.contains("\"end\":") {
        read += &piece(&mut body).await.unwrap().unwrap();
    }
    let drain = tokio::spawn(endpoint.drain());
    let begin = Instant::now();
    assert_eq!(piece(&mut body).await, None);
    assert!(begin.elapsed() < Duration::from_millis(100));
    drain.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn client_that_was_connected_at_the_end_is_not_delayed() {
    let script = Script::new();
    let endpoint = script.endpoint();
    let mut body = get("/?transport=chunked").to(&endpoint).await.into_body();
    piece(&mut body).await;
    let held = tokio::spawn(endpoint.handle(get("/?wait=20&cursor=7.0").body(String::new()).unwrap()));
    pass(Duration::from_secs(3)).await;
    let begin = Instant::now();
    script.feed.last_topic_end("news", EndReason::Done);
    assert!(text(held.await.unwrap()).await.ends_with("\"end\":true}"));
    assert!(piece(&mut body).await.unwrap().unwrap().contains("\"end\":"));
    assert_eq!(piece(&mut body).await, None);
    assert_eq!(begin.elapsed(), Duration::ZERO);
}
