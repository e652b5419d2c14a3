use std::time::Duration;

use http::StatusCode;
use tidings::{EndReason, SessionEnd};
use tokio::time::Instant;

use super::script::{Script, id};
use crate::support::http::{To, get, header, pass, request, text};

const DAY: &str = "86400000";

#[tokio::test(start_paused = true)]
async fn poll_reply_with_the_last_end_is_an_end() {
    let script = Script::new();
    let endpoint = script.endpoint();
    script.feed.event("news", "first");
    script.feed.last_topic_end("news", EndReason::Done);
    let body = format!(
        r#"{{"cursor":"{1}","events":[{{"id":"{0}","topic":"news","data":"first"}},{{"id":"{1}","end":{{"topic":"news","reason":"done"}}}}],"end":true}}"#,
        id(1),
        id(2)
    );
    let begin = Instant::now();
    for target in ["/?transport=short-poll", "/?wait=20"] {
        let response = get(target).to(&endpoint).await;
        assert_eq!(
            (header(&response, "tidings-retry-ms"), header(&response, "etag")),
            (DAY, &*format!("\"{}\"", id(2)))
        );
        assert_eq!(text(response).await, body);
    }
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

/// A client at or after the last end gets a body: a 304 could not tell the end. A long poll is held for a second, so that a
/// loop that ignores `end` makes no more requests than that.
#[tokio::test(start_paused = true)]
async fn poll_after_the_last_end_is_never_304_and_a_long_poll_is_held_for_a_second() {
    let script = Script::new();
    let last = script.feed.last_topic_end("news", EndReason::Done).to_string();
    let body = format!(r#"{{"cursor":"{last}","events":[],"end":true}}"#);
    let (quick, slow) = (script.endpoint(), script.builder().long_poll_min_wait(Duration::from_secs(5)).build());
    for (endpoint, target, held) in [
        (&quick, "/?transport=short-poll", 0..=0),
        (&quick, "/?wait=20", 1_000..=1_100),
        (&quick, "/?wait=20&session=tab", 1_000..=1_100),
        (&slow, "/?transport=short-poll", 0..=0),
        // `long_poll_min_wait` and a tenth more.
        (&slow, "/?wait=20", 5_000..=5_600),
        // Never longer than the client waits.
        (&slow, "/?wait=1", 800..=1_100),
    ] {
        for request in [
            get(&format!("{target}&cursor={last}")),
            get(target).header("if-none-match", format!("\"{last}\"")),
            get(&format!("{target}&cursor={last}")).header("if-none-match", format!("\"{last}\"")),
        ] {
            let begin = Instant::now();
            let response = request.to(endpoint).await;
            assert_eq!((response.status(), header(&response, "tidings-retry-ms")), (StatusCode::OK, DAY));
            assert_eq!(text(response).await, body);
            let millis = begin.elapsed().as_millis();
            assert!(held.contains(&millis), "{target}: {millis} ms");
        }
    }
    assert_eq!(quick.session_count() + slow.session_count(), 0);
    assert_eq!(quick.stats().left_for(SessionEnd::Finished), 6, "each long poll is a session");
}

/// The reply is not held if it has something beside the end.
#[tokio::test(start_paused = true)]
async fn snapshot_of_a_long_poll_after_the_last_end_is_sent_at_once() {
    let script = Script::new();
    let last = script.feed.last_topic_end("news", EndReason::Done);
    let begin = Instant::now();
    let reply = text(get(&format!("/?wait=20&opening&cursor={last}")).to(&script.endpoint()).await).await;
    assert!(reply.contains("\"data\":\"state\"") && reply.ends_with("\"end\":true}"), "{reply}");
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn drain_and_revocation_answer_a_long_poll_after_the_last_end_at_once() {
    let script = Script::new();
    let last = script.feed.last_topic_end("news", EndReason::Done);
    for is_revoked in [false, true] {
        let endpoint = script.endpoint();
        let request = get(&format!("/?wait=20&cursor={last}")).body(String::new()).unwrap();
        let held = tokio::spawn(endpoint.handle(request));
        pass(Duration::from_millis(300)).await;
        assert_eq!(endpoint.session_count(), 1);
        let begin = Instant::now();
        if is_revoked {
            assert!(endpoint.revoke(endpoint.sessions()[0].session.id()));
        } else {
            tokio::spawn(endpoint.drain());
        }
        let response = held.await.unwrap();
        assert!(begin.elapsed() < Duration::from_millis(100));
        match is_revoked {
            true => assert_eq!(response.status(), StatusCode::UNAUTHORIZED),
            false => {
                assert_eq!((response.status(), header(&response, "tidings-retry-ms")), (StatusCode::OK, DAY));
                assert!(text(response).await.ends_with("\"end\":true}"));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn held_poll_is_answered_by_the_last_end_and_not_held_by_another() {
    let script = Script::new();
    let endpoint = script.endpoint();
    script.feed.event("news", "first");
    let held = |cursor: u64| {
        tokio::spawn(endpoint.handle(get(&format!("/?wait=20&cursor={}", id(cursor))).body(String::new()).unwrap()))
    };
    let poll = held(1);
    pass(Duration::from_secs(3)).await;
    script.feed.topic_end("scores", EndReason::Failed);
    let response = poll.await.unwrap();
    assert_eq!(header(&response, "tidings-retry-ms"), "0");
    let body =
        format!(r#"{{"cursor":"{0}","events":[{{"id":"{0}","end":{{"topic":"scores","reason":"failed"}}}}]}}"#, id(2));
    assert_eq!(text(response).await, body);
    let poll = held(2);
    pass(Duration::from_secs(3)).await;
    script.feed.last_topic_end("news", EndReason::Done);
    let response = poll.await.unwrap();
    assert_eq!(header(&response, "tidings-retry-ms"), DAY);
    assert!(text(response).await.ends_with(r#""end":{"topic":"news","reason":"done"}}],"end":true}"#));
    assert_eq!(script.sessions(), ["joined", "left Silent", "joined", "left Finished"]);
}

/// The limit of bytes: a reply with `more` is no end, and its client polls again at once.
#[tokio::test(start_paused = true)]
async fn poll_reply_with_more_is_no_end() {
    let script = Script::new();
    let endpoint = script.builder().max_batch_bytes(1).build();
    script.feed.event("news", "first");
    script.feed.last_topic_end("news", EndReason::Done);
    for target in ["/?transport=short-poll", "/?wait=20"] {
        let response = get(target).to(&endpoint).await;
        assert_ne!(header(&response, "tidings-retry-ms"), DAY);
        let body = text(response).await;
        assert!(body.ends_with(",\"more\":true}") && !body.contains("\"end\""), "{body}");
        let rest = text(get(&format!("{target}&cursor={}", id(1))).to(&endpoint).await).await;
        assert!(rest.ends_with("],\"end\":true}"), "{rest}");
    }
}

/// Two sources of one endpoint have replies with equal cursors and items, of which one is an end.
#[tokio::test(start_paused = true)]
async fn cached_reply_of_a_live_source_is_not_used_for_an_ended_one() {
    let (live, ended) = (Script::new(), Script::new());
    live.feed.event("news", "first");
    live.feed.event("news", "second");
    ended.feed.event("news", "first");
    ended.feed.last_topic_end("news", EndReason::Done);
    let endpoint = tidings::Endpoint::new(());
    let cursor = tidings::Cursor::new(7, 2);
    for _ in 0..2 {
        for (script, tail) in [(&live, "]}"), (&ended, "],\"end\":true}")] {
            let request = get("/?transport=short-poll").body(String::new()).unwrap();
            let reply = text(endpoint.respond(request, script.feed.resume(cursor)).await).await;
            assert_eq!(reply, format!("{{\"cursor\":\"{cursor}\",\"events\":[{tail}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn drain_does_not_shorten_the_time_of_an_ended_poll() {
    let script = Script::new();
    let endpoint = script.endpoint();
    let held = tokio::spawn(endpoint.handle(get("/?wait=20&cursor=7.0").body(String::new()).unwrap()));
    pass(Duration::from_secs(1)).await;
    script.feed.last_topic_end("news", EndReason::Done);
    endpoint.drain().await;
    let response = held.await.unwrap();
    assert_eq!((response.status(), header(&response, "tidings-retry-ms")), (StatusCode::OK, DAY));
}

#[tokio::test(start_paused = true)]
async fn head_of_an_ended_poll_is_that_of_any_poll() {
    let script = Script::new();
    let endpoint = script.endpoint();
    let response = request("HEAD", "/?transport=short-poll").to(&endpoint).await;
    assert_eq!((response.status(), script.calls()), (StatusCode::OK, 0));
}
