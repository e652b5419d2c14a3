//! Server-sent events without control blocks.

use std::future::pending;
use std::time::Duration;

use http::StatusCode;
use tidings::{
    Accepted, BodyError, Cursor, EndReason, Endpoint, Gap, GapReason, Publisher, Rejection, Session, SessionEnd,
    Snapshot, SubscribeRequest, Topic,
};
use tokio::time::Instant;

use super::script::{Script, id};
use crate::support::http::{To, get, header, pass, piece, text};
use crate::support::{Feed, Reader};

const OFF: &str = "/?transport=sse&controls=off";

#[tokio::test(start_paused = true)]
async fn stream_without_controls_has_comments_and_events_alone() {
    let script = Script::new();
    let retry = Duration::from_millis(1500);
    for (builder, target) in [
        (script.builder(), OFF),
        (script.builder().sse_controls(false), "/?transport=sse"),
        // A query cannot undo the builder's setting.
        (script.builder().sse_controls(false), "/?transport=sse&controls=on&heartbeat=visible"),
    ] {
        let endpoint = builder.retry(retry..=retry).build();
        let mut body = get(target).to(&endpoint).await.into_body();
        assert_eq!(piece(&mut body).await, Some(Ok(":\n".to_owned())));
        assert_eq!(piece(&mut body).await, Some(Ok(":\n".to_owned())), "a keep-alive");
    }
    let endpoint = script.builder().retry(retry..=retry).build();
    let mut body = get(OFF).to(&endpoint).await.into_body();
    assert_eq!(piece(&mut body).await, Some(Ok(":\n".to_owned())));
    script.feed.topic_end("scores", EndReason::Done);
    script.feed.event("news", "first");
    assert_eq!(piece(&mut body).await, Some(Ok(format!("retry: 1500\ndata: first\nid: {}\n\n", id(2)))));
    script.feed.last_topic_end("news", EndReason::Done);
    assert_eq!(piece(&mut body).await, None, "a clean end");
}

/// The events that are ready are part of the first piece, which has the greeting and the retry line.
#[tokio::test(start_paused = true)]
async fn stream_without_controls_begins_with_the_events_that_are_ready() {
    let script = Script::new();
    script.feed.event("news", "first");
    script.feed.event("news", "second");
    let endpoint = script.builder().retry(Duration::from_secs(2)..=Duration::from_secs(2)).build();
    let mut body = get(OFF).to(&endpoint).await.into_body();
    assert_eq!(piece(&mut body).await, Some(Ok(format!(":\nretry: 2000\ndata: first\nid: {}\n\n", id(1)))));
    assert_eq!(piece(&mut body).await, Some(Ok(format!("data: second\nid: {}\n\n", id(2)))));
    drop(body);
    assert_eq!(script.sessions(), ["joined", "left Gone"]);
}

#[tokio::test(start_paused = true)]
async fn gap_before_the_first_event_is_410_with_the_gap() {
    let script = Script::new();
    let endpoint = script.endpoint();
    let response = get(OFF).header("last-event-id", Cursor::new(6, 3).to_string()).to(&endpoint).await;
    assert_eq!((response.status(), header(&response, "content-type")), (StatusCode::GONE, "application/json"));
    let gap = format!(r#"{{"id":"{}","gap":{{"reason":"epoch","missed":null}}}}"#, id(0));
    assert_eq!(text(response).await, gap);
    assert_eq!(script.sessions(), ["joined", "left TooSlow"]);
    let stats = endpoint.stats();
    assert_eq!((stats.live(), stats.left_for(SessionEnd::TooSlow)), (0, 1));

    // An end of a topic before the gap is left out, too.
    script.feed.topic_end("scores", EndReason::Done);
    script.feed.gap(GapReason::Evicted, Some(3));
    let response = get(OFF).to(&endpoint).await;
    assert_eq!(response.status(), StatusCode::GONE);
    assert!(text(response).await.contains("\"missed\":3"));
}

#[tokio::test(start_paused = true)]
async fn later_gap_breaks_the_stream_off() {
    let script = Script::new();
    let endpoint = script.endpoint();
    script.feed.event("news", "first");
    let mut body = get(OFF).to(&endpoint).await.into_body();
    assert!(piece(&mut body).await.unwrap().unwrap().contains("data: first\n"));
    script.feed.gap(GapReason::Overflow, Some(3));
    script.feed.event("news", "second");
    let begin = Instant::now();
    assert_eq!(piece(&mut body).await, Some(Err(BodyError::Ended)));
    assert!(begin.elapsed() >= Duration::from_millis(100), "the bytes before it must leave first");
    drop(body);
    assert_eq!(script.sessions(), ["joined", "left TooSlow"]);
}

/// A reader without control blocks would take a clean end for a whole answer.
#[tokio::test(start_paused = true)]
async fn end_of_a_failed_topic_breaks_a_stream_without_controls_off() {
    for (reasons, is_broken) in [
        ([EndReason::Done, EndReason::Failed], true),
        // The stream goes on until the last topic has ended.
        ([EndReason::Failed, EndReason::Done], true),
        ([EndReason::Stopped, EndReason::Done], false),
        ([EndReason::Done, EndReason::Stopped], false),
    ] {
        for is_late in [false, true] {
            let script = Script::new();
            let endpoint = script.endpoint();
            let publish = || {
                script.feed.topic_end("scores", reasons[0]);
                script.feed.event("news", "first");
                script.feed.last_topic_end("news", reasons[1]);
            };
            if is_late {
                publish();
            }
            let response = get(OFF).to(&endpoint).await;
            assert_eq!(response.status(), StatusCode::OK);
            let mut body = response.into_body();
            if !is_late {
                piece(&mut body).await;
                publish();
            }
            let read = piece(&mut body).await.unwrap().unwrap();
            assert!(read.ends_with(&format!("data: first\nid: {}\n\n", id(2))), "{read}");
            let begin = Instant::now();
            let end = piece(&mut body).await;
            assert_eq!(end, is_broken.then_some(Err(BodyError::Ended)), "{reasons:?}");
            assert!(
                !is_broken || begin.elapsed() >= Duration::from_millis(100),
                "the bytes before it must leave first"
            );
            drop(body);
            assert_eq!(script.sessions(), ["joined", "left Finished"]);
            // A client that resumes there has everything, so it is not broken off again and again.
            let again = get(OFF).header("last-event-id", id(2)).to(&endpoint).await;
            assert_eq!(again.status(), StatusCode::NO_CONTENT);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn drain_breaks_a_stream_without_controls_of_a_failed_topic_off() {
    let script = Script::new();
    let endpoint = script.endpoint();
    let mut body = get(OFF).to(&endpoint).await.into_body();
    piece(&mut body).await;
    script.feed.last_topic_end("news", EndReason::Failed);
    let drain = tokio::spawn(endpoint.drain());
    pass(Duration::from_millis(10)).await;
    assert_eq!(piece(&mut body).await, Some(Err(BodyError::Ended)));
    drain.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn snapshot_in_place_of_the_first_gap_is_sent_without_the_gap() {
    let script = Script::with_snapshots();
    let endpoint = script.endpoint();
    script.feed.event("news", "first");
    let response = get(OFF).header("last-event-id", Cursor::new(6, 3).to_string()).to(&endpoint).await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    let first = piece(&mut body).await.unwrap().unwrap();
    assert!(
        first.starts_with(":\nretry: ") && first.ends_with(&format!("\ndata: state\nid: {}\n\n", id(0))),
        "{first}"
    );
    assert_eq!(piece(&mut body).await, Some(Ok(format!("data: first\nid: {}\n\n", id(1)))));
}

#[tokio::test(start_paused = true)]
async fn client_that_has_all_but_the_ends_gets_204() {
    let script = Script::new();
    let endpoint = script.endpoint();
    script.feed.event("news", "first");
    script.feed.topic_end("scores", EndReason::Done);
    let last = script.feed.last_topic_end("news", EndReason::Done);
    // The client has no id of the ends, since they are left out.
    let response = get(OFF).header("last-event-id", id(1)).to(&endpoint).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(script.sessions(), ["joined", "left Finished"]);
    let response = get(OFF).header("last-event-id", last.to_string()).to(&endpoint).await;
    assert_eq!((response.status(), script.sessions().len()), (StatusCode::NO_CONTENT, 0));
    let whole = text(get(OFF).to(&endpoint).await).await;
    assert!(whole.ends_with(&format!("data: first\nid: {}\n\n", id(1))), "{whole}");
}

#[tokio::test(start_paused = true)]
async fn busy_is_503_without_controls() {
    let script = Script::new();
    let endpoint = script.builder().max_sessions(1).build();
    let refused = get("/busy?transport=sse&controls=off").to(&endpoint).await;
    assert_eq!((refused.status(), header(&refused, "retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "3"));
    let _held = get(OFF).to(&endpoint).await;
    let refused = get(OFF).header("last-event-id", id(0)).to(&endpoint).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(text(refused).await.ends_with(&format!(",\"cursor\":\"{}\"}}", id(0))));
    assert_eq!(endpoint.stats().soft_rejected, 0);
    drop(endpoint.drain());
    assert_eq!(get(OFF).to(&endpoint).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    // With control blocks it is a soft reject.
    assert_eq!(get("/?transport=sse").to(&endpoint).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn drain_breaks_a_stream_without_controls_off_without_a_block() {
    let script = Script::new();
    let endpoint = script.endpoint();
    let mut body = get(OFF).to(&endpoint).await.into_body();
    piece(&mut body).await;
    script.feed.event("news", "last");
    let drain = tokio::spawn(endpoint.drain());
    pass(Duration::from_millis(10)).await;
    assert!(piece(&mut body).await.unwrap().unwrap().contains("data: last\n"));
    assert_eq!(piece(&mut body).await, Some(Err(BodyError::Ended)));
    drain.await.unwrap();
    drop(body);
    assert_eq!(script.sessions(), ["joined", "left Drained"]);
}

/// An application whose subscribers have a gap, and whose snapshots take a time.
struct Slow {
    time: Duration,
    has_snapshot: bool,
}

impl Publisher for Slow {
    type Subscriber = Reader;

    async fn subscribe(&self, _: SubscribeRequest) -> Result<Accepted<Reader>, Rejection> {
        let feed = Feed::new(7);
        feed.gap(GapReason::Evicted, None);
        Ok(feed.reader().into())
    }

    async fn snapshot(&self, _: &Session, _: &Gap) -> Option<Snapshot> {
        if self.time == Duration::MAX {
            pending::<()>().await;
        }
        pass(self.time).await;
        self.has_snapshot.then(|| Snapshot::new([(Topic::new("news").unwrap(), "state".into())]))
    }
}

/// The head waits for the snapshot, which decides on the status.
#[tokio::test(start_paused = true)]
async fn head_without_controls_waits_for_the_snapshot() {
    let time = Duration::from_secs(3);
    for (has_snapshot, status) in [(true, StatusCode::OK), (false, StatusCode::GONE)] {
        let endpoint = Endpoint::new(Slow { time, has_snapshot });
        let begin = Instant::now();
        assert_eq!(get(OFF).to(&endpoint).await.status(), status);
        assert!(begin.elapsed() >= time && begin.elapsed() < 2 * time);
    }
    // It waits no longer than the publisher may take.
    let endpoint = Endpoint::new(Slow { time: Duration::MAX, has_snapshot: true });
    assert_eq!(get(OFF).to(&endpoint).await.status(), StatusCode::GONE);
    // A drain does not wait for it.
    let endpoint = Endpoint::new(Slow { time: Duration::MAX, has_snapshot: true });
    let response = tokio::spawn(endpoint.handle(get(OFF).body(String::new()).unwrap()));
    pass(Duration::from_secs(1)).await;
    let drain = tokio::spawn(endpoint.drain());
    let response = response.await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    assert_eq!(piece(&mut body).await, Some(Ok(":\n".to_owned())));
    assert_eq!(piece(&mut body).await, Some(Err(BodyError::Ended)));
    drain.await.unwrap();
}

/// Nothing is ready: the head goes out at once.
#[tokio::test(start_paused = true)]
async fn head_without_controls_does_not_wait_for_an_event() {
    let script = Script::new();
    let endpoint = script.endpoint();
    let begin = Instant::now();
    let mut body = get(OFF).to(&endpoint).await.into_body();
    assert_eq!((piece(&mut body).await, begin.elapsed()), (Some(Ok(":\n".to_owned())), Duration::ZERO));
}
