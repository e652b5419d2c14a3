use std::time::Duration;

use http::StatusCode;
use tidings::{Cursor, Endpoint, Event};

use crate::support::http::{App, To, get, header, pass, request, text};

#[tokio::test]
async fn short_poll_is_answered_at_once_from_its_cursor() {
    let app = App::new();
    let endpoint = app.endpoint();
    let empty = get("/events").to(&endpoint).await;
    let tag = header(&empty, "etag").to_owned();
    assert_eq!(text(empty).await, format!(r#"{{"cursor":{tag},"events":[]}}"#));

    let cursor = app.publish("one");
    let response = get("/events").header("if-none-match", &tag).to(&endpoint).await;
    assert_eq!(header(&response, "etag"), format!("\"{cursor}\""));
    let body = format!(r#"{{"cursor":"{cursor}","events":[{{"id":"{cursor}","topic":"news","data":"one"}}]}}"#);
    assert_eq!(text(response).await, body);
    // A repeated request gets an equal reply.
    assert_eq!(text(get("/events").header("if-none-match", &tag).to(&endpoint).await).await, body);
}

#[tokio::test]
async fn only_a_matching_entity_tag_gets_304() {
    let app = App::new();
    let (endpoint, cursor) = (app.endpoint(), app.publish("one"));
    for (target, tag, expected) in [
        ("/events", format!("\"{cursor}\""), StatusCode::NOT_MODIFIED),
        ("/events", format!("W/\"{cursor}\""), StatusCode::NOT_MODIFIED),
        ("/events", format!("\"{cursor}-gzip\""), StatusCode::NOT_MODIFIED),
        ("/events", format!("W/\"{cursor};br\""), StatusCode::NOT_MODIFIED),
        ("/events", format!("\"other\", \"{cursor}--gzip\""), StatusCode::NOT_MODIFIED),
        ("/events", "\"other\"".to_owned(), StatusCode::OK),
        ("/events", "*".to_owned(), StatusCode::OK),
        // This cursor is further back, so there are events.
        ("/events?cursor=0.0", format!("\"{cursor}\""), StatusCode::OK),
    ] {
        let response = get(target).header("if-none-match", &tag).to(&endpoint).await;
        assert_eq!(response.status(), expected, "{target} {tag}");
        assert_eq!(text(response).await.is_empty(), expected == StatusCode::NOT_MODIFIED);
    }
    let same = get(&format!("/events?cursor={cursor}")).to(&endpoint).await;
    assert_eq!(same.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn long_poll_is_answered_at_the_first_event() {
    let app = App::new();
    let endpoint = app.endpoint();
    let begin = tokio::time::Instant::now();
    let target = format!("/events?wait=20&cursor={}", app.hub.cursor());
    let poll = tokio::spawn(endpoint.handle(get(&target).body(String::new()).unwrap()));
    pass(Duration::from_secs(5)).await;
    assert_eq!(endpoint.session_count(), 1);
    app.publish("one");
    let response = poll.await.unwrap();
    assert_eq!(begin.elapsed().as_secs(), 5);
    assert_eq!((response.status(), header(&response, "tidings-retry-ms")), (StatusCode::OK, "0"));
    assert!(text(response).await.contains("one"));
    assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
}

/// Returns the time for which a poll of a quiet topic is held, in milliseconds.
async fn held(endpoint: &Endpoint, cursor: Cursor, target: &str, prefer: &str) -> (u64, String) {
    let begin = tokio::time::Instant::now();
    let request = get(target).header("prefer", prefer).header("last-event-id", cursor.to_string());
    let response = request.to(endpoint).await;
    assert_eq!((response.status(), header(&response, "tidings-retry-ms")), (StatusCode::OK, "0"));
    let applied = header(&response, "preference-applied").to_owned();
    assert!(text(response).await.ends_with(r#","events":[]}"#));
    (u64::try_from(begin.elapsed().as_millis()).unwrap(), applied)
}

#[tokio::test(start_paused = true)]
async fn quiet_long_poll_is_held_for_the_requested_time() {
    let app = App::new();
    let endpoint = app.endpoint();
    let mut times = Vec::new();
    for (target, prefer, shortest, longest, applied) in [
        ("/?transport=long-poll", "", 22_500, 27_600, ""),
        ("/", "wait=10", 9_000, 10_100, "wait=10"),
        ("/", "wait=10;x=y, wait=3", 9_000, 10_100, "wait=10"),
        ("/", "wait=10, wait=3", 9_000, 10_100, "wait=10"),
        ("/", "Wait = \"10\"", 9_000, 10_100, "wait=10"),
        ("/", "wait=1000000", 49_500, 55_100, "wait=55"),
        ("/?wait=18446744073709551615", "wait=1", 49_500, 55_100, ""),
        ("/?transport=long-poll&wait=0", "", 0, 10, ""),
    ] {
        for _ in 0..20 {
            let (time, reported) = held(&endpoint, app.hub.cursor(), target, prefer).await;
            assert!((shortest..=longest).contains(&time), "{target} {prefer}: {time} ms");
            assert_eq!(reported, applied, "{target} {prefer}");
            times.push(time);
        }
    }
    times.dedup();
    assert!(times.len() > 60, "the holds are not all the same: {times:?}");
}

#[tokio::test(start_paused = true)]
async fn preference_applied_has_the_applied_wait() {
    let app = App::new();
    let endpoint = app.builder().max_long_poll_timeout(Duration::from_secs(150)).build();
    for wait in (0..200).chain(0..70) {
        let response = get("/").header("prefer", format!("wait={wait}")).to(&endpoint).await;
        assert_eq!(header(&response, "preference-applied"), format!("wait={}", wait.min(150)));
    }
}

#[tokio::test(start_paused = true)]
async fn long_poll_without_news_gets_304_at_the_end_of_its_hold() {
    let app = App::new();
    let (endpoint, cursor) = (app.endpoint(), app.publish("one"));
    let begin = tokio::time::Instant::now();
    let response = get("/events?wait=10").header("if-none-match", format!("\"{cursor}\"")).to(&endpoint).await;
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert!(begin.elapsed() >= Duration::from_secs(9));
}

#[tokio::test(start_paused = true)]
async fn dropped_long_poll_leaves_no_session() {
    let app = App::new();
    let endpoint = app.endpoint();
    let target = format!("/events?wait=20&cursor={}", app.hub.cursor());
    let poll = tokio::spawn(endpoint.handle(get(&target).body(String::new()).unwrap()));
    pass(Duration::from_secs(1)).await;
    assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (1, 1));
    poll.abort();
    assert!(poll.await.unwrap_err().is_cancelled());
    assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
}

#[tokio::test]
async fn reply_above_max_batch_bytes_is_marked_more_and_polled_at_once() {
    let app = App::new();
    let endpoint = app.builder().max_batch_bytes(100).build();
    let begin = header(&get("/events").to(&endpoint).await, "etag").to_owned();
    let big = Event::text("x".repeat(90));
    for _ in 0..3 {
        app.hub.publish_now("news", big.clone()).unwrap();
    }
    let mut tag = begin;
    for left in (0..3).rev() {
        let response = get("/events").header("if-none-match", &tag).to(&endpoint).await;
        tag = header(&response, "etag").to_owned();
        assert_eq!(header(&response, "tidings-retry-ms") == "0", left > 0);
        assert_eq!(text(response).await.contains(r#""more":true"#), left > 0);
    }
}

#[tokio::test]
async fn closed_hub_answers_a_long_poll_with_503() {
    let app = App::new();
    let endpoint = app.endpoint();
    let response = request("GET", "/events").to(&endpoint).await;
    assert_ne!(header(&response, "tidings-retry-ms"), "0");
    app.hub.close();
    let response = get("/events?wait=20").to(&endpoint).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn long_poll_holds_are_spread_over_their_range() {
    let app = App::new();
    let (endpoint, cursor) = (app.endpoint(), app.hub.cursor());
    for (target, prefer, from, to) in [
        ("/?wait=20", "", 18_000, 20_000),
        ("/", "wait=20", 18_000, 20_000),
        ("/?transport=long-poll", "", 22_500, 27_500),
    ] {
        let mut polls = tokio::task::JoinSet::new();
        for _ in 0..400 {
            let (endpoint, prefer) = (endpoint.clone(), prefer.to_owned());
            polls.spawn(async move { held(&endpoint, cursor, target, &prefer).await.0 });
        }
        let (times, quarter) = (polls.join_all().await, (to - from) / 4);
        for begin in (from..to).step_by(quarter) {
            let count = times.iter().filter(|&&time| (begin..begin + quarter).contains(&(time as usize))).count();
            assert!(count > 50, "{count} of 400 within {quarter} ms after {begin}: {target} {prefer}");
        }
    }
}
