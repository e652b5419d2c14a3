//! Throttled polls, and the lag of throttled sessions.

use std::time::Duration;

use http::StatusCode;
use tidings::Transport;
use tokio::time::Instant;

use super::throttle::{SECOND, SLACK};
use crate::support::http::{App, TestClient, To, get, header, pass, text};

#[tokio::test(start_paused = true)]
async fn short_poll_is_answered_at_once_and_names_a_time_of_at_least_the_interval() {
    let app = App::new();
    let endpoint = app.builder().max_batch_bytes(10).build();
    let (begin, cursor) = (Instant::now(), app.publish("first"));
    let response = get("/?transport=short-poll&throttle=60000").to(&endpoint).await;
    assert_eq!((header(&response, "tidings-retry-ms"), begin.elapsed()), ("60000", Duration::ZERO));
    (0..2).for_each(|_| drop(app.publish("second")));
    let response = get(&format!("/?transport=short-poll&throttle=60000&cursor={cursor}")).to(&endpoint).await;
    assert_eq!(header(&response, "tidings-retry-ms"), "0");
    assert!(text(response).await.contains(r#""more":true"#));
}

#[tokio::test(start_paused = true)]
async fn long_poll_is_answered_after_the_interval_or_at_the_end_of_its_hold() {
    let app = App::new();
    let (endpoint, cursor) = (app.endpoint(), app.hub.cursor());
    let newest = app.publish("first");
    for (target, from, to) in [
        (format!("throttle=3000&wait=20&cursor={cursor}"), 3_000, 3_300),
        (format!("throttle=3000&wait=2&cursor={cursor}"), 1_800, 2_000),
        (format!("throttle=0&wait=20&cursor={cursor}"), 0, 0),
        ("throttle=3000&wait=20&oldest".to_owned(), 3_000, 3_300),
        (format!("throttle=100000000&wait=5&cursor={cursor}"), 4_500, 5_000),
    ] {
        let begin = Instant::now();
        let reply = text(get(&format!("/?{target}")).to(&endpoint).await).await;
        let (took, slack) = (begin.elapsed().as_millis(), SLACK.as_millis());
        assert!((from..=to + slack).contains(&took), "{target}: {took} ms");
        assert!(reply.contains("first") && reply.contains(&newest), "{target}: {reply}");
    }
    // A quiet client gets its event at once after the interval.
    let poll = tokio::spawn(
        endpoint.handle(get(&format!("/?throttle=1000&wait=20&cursor={newest}")).body(String::new()).unwrap()),
    );
    pass(5 * SECOND).await;
    app.publish("second");
    pass(SLACK).await;
    assert!(poll.is_finished());
    // A drain ends the wait, with the events.
    let poll = tokio::spawn(
        endpoint.handle(get(&format!("/?throttle=10000&wait=20&cursor={newest}")).body(String::new()).unwrap()),
    );
    pass(SECOND).await;
    drop(endpoint.drain());
    pass(Duration::from_millis(50)).await;
    let response = poll.await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(text(response).await.contains("second"));
}

#[tokio::test(start_paused = true)]
async fn lag_of_a_waiting_session_counts_unread_events() {
    let app = App::new();
    let endpoint = app.endpoint();
    let client = TestClient::open(&endpoint, Transport::Sse, "/?throttle=10000").await;
    let lag = || endpoint.sessions()[0].lag;
    app.publish("first");
    pass(SECOND).await;
    assert_eq!(lag(), Some(0));
    (0..3).for_each(|_| drop(app.publish("waits")));
    pass(SECOND).await;
    assert_eq!(lag(), Some(3));
    pass(10 * SECOND).await;
    assert_eq!(lag(), Some(0));
    drop(client);
}
