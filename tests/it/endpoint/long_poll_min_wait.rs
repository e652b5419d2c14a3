//! Long polls of a busy topic: at most one request an interval.

use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;
use tidings::{Endpoint, LocalHub, Retention};
use tokio::time::Instant;

use crate::support::http::{App, To, get, header, pass, request, runtime, text};

const INTERVAL: Duration = Duration::from_secs(1);
/// Jitter, one tick of the timer wheel and one of tokio's timer.
const SLACK: Duration = Duration::from_millis(110);

fn endpoint(app: &App) -> Endpoint {
    app.builder().long_poll_min_wait(INTERVAL).build()
}

/// Polls. Returns the text of the reply and the time until it came.
async fn answer(endpoint: &Endpoint, target: &str) -> (String, Duration) {
    let begin = Instant::now();
    let response = get(target).to(endpoint).await;
    assert_eq!(response.status(), StatusCode::OK);
    (text(response).await, begin.elapsed())
}

/// Returns the cursor of a reply and the numbers that its events have as data.
fn read(reply: &str) -> (String, Vec<u64>) {
    let reply: serde_json::Value = serde_json::from_str(reply).unwrap();
    let events = reply["events"].as_array().unwrap().iter();
    let data = events.map(|event| event["data"].as_str().unwrap().parse().unwrap());
    (reply["cursor"].as_str().unwrap().to_owned(), data.collect())
}

#[tokio::test(start_paused = true)]
async fn busy_topic_is_answered_once_per_min_wait_with_all_events() {
    let app = App::new();
    let (endpoint, busy) = (endpoint(&app), app.clone());
    let publishing = tokio::spawn(async move {
        for number in 0_u64.. {
            pass(Duration::from_millis(20)).await;
            busy.publish(&number.to_string());
        }
    });
    let (mut cursor, mut next, begin) = (app.hub.cursor().to_string(), 0, Instant::now());
    for _ in 0..60 {
        let (reply, took) = answer(&endpoint, &format!("/?wait=25&cursor={cursor}")).await;
        assert!((INTERVAL..INTERVAL + SLACK).contains(&took), "{took:?}");
        let events;
        (cursor, events) = read(&reply);
        assert_eq!(events, (next..next + events.len() as u64).collect::<Vec<_>>());
        next += events.len() as u64;
    }
    // All events except those of the last instant.
    assert!(u128::from(next) + 2 >= begin.elapsed().as_millis() / 20, "{next} in {:?}", begin.elapsed());
    assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (0, 0));
    publishing.abort();
}

#[tokio::test(start_paused = true)]
async fn first_event_after_min_wait_is_answered_at_once() {
    let app = App::new();
    let (endpoint, target) = (endpoint(&app), format!("/?wait=25&cursor={}", app.hub.cursor()));
    let poll = tokio::spawn(async move { answer(&endpoint, &target).await });
    pass(Duration::from_secs(7)).await;
    app.publish("1");
    let (reply, took) = poll.await.unwrap();
    assert_eq!((read(&reply).1, took.as_secs()), (vec![1], 7));
    assert!(took < Duration::from_millis(7_010));
}

#[tokio::test(start_paused = true)]
async fn full_batch_gap_and_end_are_answered_before_min_wait() {
    // A full batch.
    let app = App::new();
    let endpoint = app.builder().long_poll_min_wait(INTERVAL).max_batch_bytes(100).build();
    let cursor = app.hub.cursor();
    for _ in 0..2 {
        app.publish(&"1".repeat(90));
    }
    let (reply, took) = answer(&endpoint, &format!("/?wait=25&cursor={cursor}")).await;
    assert!(reply.contains(r#""more":true"#) && took.is_zero(), "{took:?}: {reply}");

    // A gap.
    let (reply, took) = answer(&endpoint, "/?wait=25&cursor=1.a1").await;
    assert!(reply.contains(r#""gap":{"reason":"epoch""#) && took.is_zero(), "{took:?}: {reply}");

    // The end of the source, with the event before it.
    let (app, begin) = (App::new(), Instant::now());
    let target = format!("/?wait=25&cursor={}", app.hub.cursor());
    let poll = tokio::spawn(self::endpoint(&app).handle(get(&target).body(String::new()).unwrap()));
    pass(Duration::from_millis(100)).await;
    app.publish("last");
    app.hub.close();
    let response = poll.await.unwrap();
    assert!(begin.elapsed() < Duration::from_millis(110), "{:?}", begin.elapsed());
    assert_ne!(header(&response, "tidings-retry-ms"), "0");
    assert!(text(response).await.contains("last"));
}

#[tokio::test(start_paused = true)]
async fn drain_does_not_wait_for_min_wait() {
    let app = App::new();
    let endpoint =
        app.builder().long_poll_min_wait(Duration::from_secs(20)).drain_timeout(Duration::from_millis(100)).build();
    let target = format!("/?wait=25&cursor={}", app.hub.cursor());
    let poll = tokio::spawn(endpoint.handle(get(&target).body(String::new()).unwrap()));
    pass(Duration::from_millis(10)).await;
    app.publish("last");
    pass(Duration::from_millis(10)).await;
    assert!(!poll.is_finished());
    let begin = Instant::now();
    endpoint.drain().await;
    let response = poll.await.unwrap();
    assert!(begin.elapsed() < Duration::from_millis(200), "{:?}", begin.elapsed());
    assert_ne!(header(&response, "tidings-retry-ms"), "0");
    assert!(text(response).await.contains("last"));
}

#[tokio::test(start_paused = true)]
async fn min_wait_ends_with_the_hold_and_applies_to_long_polls_only() {
    let app = App::new();
    let endpoint = app.builder().long_poll_min_wait(Duration::from_secs(20)).build();
    let (cursor, last) = (app.hub.cursor(), app.publish("1"));
    for (target, longest) in [("wait=2", 2_010), ("wait=0", 0), ("transport=long-poll&wait=0", 10), ("", 0)] {
        let (reply, took) = answer(&endpoint, &format!("/?cursor={cursor}&{target}")).await;
        assert_eq!(read(&reply).1, [1], "{target}");
        assert!(took <= Duration::from_millis(longest), "{target}: {took:?}");
    }
    // A client that has every event gets 304 at the end of its hold; one that has not gets the events.
    let begin = Instant::now();
    let response = get("/?wait=10").header("if-none-match", format!("\"{last}\"")).to(&endpoint).await;
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert!(begin.elapsed() >= Duration::from_secs(9));
    let response = get("/?wait=10").header("if-none-match", format!("\"{cursor}\"")).to(&endpoint).await;
    assert_eq!((response.status(), header(&response, "etag")), (StatusCode::OK, &*format!("\"{last}\"")));
    // A HEAD is not held, and no subscription is made for it.
    let (begin, subscribes) = (Instant::now(), app.subscribes());
    assert_eq!(text(request("HEAD", "/?wait=10").to(&endpoint).await).await, "");
    assert_eq!((begin.elapsed(), app.subscribes()), (Duration::ZERO, subscribes));
}

proptest! {
    #![proptest_config(crate::support::cases(32))]

    /// For any interval and pace of the topic, no event is lost or repeated, no reply comes early, and there are no
    /// more
    /// replies than the pace and the interval require.
    #[test]
    fn long_polls_with_min_wait_lose_no_event_at_any_pace(
        interval in 0..3_000_u64,
        pauses in prop::collection::vec(0..2_000_u64, 1..40),
    ) {
        let runtime = runtime();
        let (got, polls, time) = runtime.block_on(async {
            let (app, count) = (App::new(), pauses.len());
            let endpoint = app.builder().long_poll_min_wait(Duration::from_millis(interval)).build();
            let mut cursor = app.hub.cursor().to_string();
            tokio::spawn(async move {
                for (number, pause) in pauses.into_iter().enumerate() {
                    pass(Duration::from_millis(pause)).await;
                    app.publish(&number.to_string());
                }
                std::future::pending::<()>().await;
            });
            let (mut got, mut polls, begin) = (Vec::new(), 0_u64, Instant::now());
            while got.len() < count {
                let (reply, took) = answer(&endpoint, &format!("/?wait=25&cursor={cursor}")).await;
                assert!(took >= Duration::from_millis(interval));
                let (next, events) = read(&reply);
                (cursor, polls) = (next, polls + 1);
                got.extend(events);
            }
            (got, polls, begin.elapsed())
        });
        prop_assert_eq!(&got, &(0..got.len() as u64).collect::<Vec<_>>());
        prop_assert!(polls <= got.len() as u64);
        prop_assert!(u128::from(polls * interval) <= time.as_millis());
    }
}

/// A poll reads the events while it waits, so that a short history loses none of them.
#[tokio::test(start_paused = true)]
async fn events_during_min_wait_are_read_before_eviction() {
    let app = App::with_hub(LocalHub::builder().retain(Retention::count(5)).build());
    let (endpoint, cursor) = (endpoint(&app), app.hub.cursor());
    let poll = tokio::spawn(async move { answer(&endpoint, &format!("/?wait=25&cursor={cursor}")).await });
    for number in 0..450 {
        pass(Duration::from_millis(2)).await;
        app.publish(&number.to_string());
    }
    let (reply, took) = poll.await.unwrap();
    assert!((INTERVAL..INTERVAL + SLACK).contains(&took), "{took:?}");
    assert_eq!(read(&reply).1, (0..450).collect::<Vec<_>>());
}
