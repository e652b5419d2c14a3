use std::time::Duration;

use http::StatusCode;

use crate::mount::world::{App, To, get, header, pass, piece, text};

#[tokio::test(start_paused = true)]
async fn one_session_too_many_is_told_to_come_later() {
    let app = App::new();
    let endpoint = app.builder().max_sessions(2).build();
    let one = get("/?transport=sse").to(&endpoint).await;
    let _two = get("/?transport=chunked").to(&endpoint).await;
    let asked = app.subscribes();
    let mut sse = get("/?transport=sse").to(&endpoint).await.into_body();
    assert!(piece(&mut sse).await.unwrap().unwrap().starts_with("event: tidings.retry\n"));
    for target in ["/?transport=chunked", "/?wait=9"] {
        let response = get(target).to(&endpoint).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let (seconds, millis) = (header(&response, "retry-after"), header(&response, "tidings-retry-ms"));
        let (seconds, millis): (u64, u64) = (seconds.parse().unwrap(), millis.parse().unwrap());
        assert!((1000..=5000).contains(&millis) && seconds == millis.div_ceil(1000), "{seconds} s, {millis} ms");
        assert_eq!(text(response).await, r#"{"error":"busy, come back later"}"#);
    }
    assert_eq!(app.subscribes(), asked, "the publisher is not asked for whom there is no place");
    assert_eq!(get("/?transport=short-poll").to(&endpoint).await.status(), StatusCode::OK);
    assert_eq!((endpoint.session_count(), endpoint.stats().refused_busy), (2, 3));
    drop(one);
    assert_eq!(get("/?transport=chunked").to(&endpoint).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn one_attach_too_many_is_told_to_come_later() {
    let app = App::new();
    let endpoint = app.builder().max_attaches(2).build();
    let waiting = [0, 1].map(|_| tokio::spawn(endpoint.handle(get("/wait").body(String::new()).unwrap())));
    pass(Duration::from_millis(1)).await;
    assert_eq!((app.subscribes(), get("/events").to(&endpoint).await.status()), (2, StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(get("/events").to(&endpoint).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    for waiting in waiting {
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
    }
    assert_eq!(get("/events").to(&endpoint).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn retries_differ() {
    let app = App::new();
    let endpoint = app.endpoint();
    let mut retries = Vec::new();
    for _ in 0..50 {
        let response = get("/events").to(&endpoint).await;
        retries.push(header(&response, "tidings-retry-ms").parse::<u64>().unwrap());
    }
    assert!(retries.iter().all(|retry| (1000..=5000).contains(retry)), "{retries:?}");
    retries.sort_unstable();
    retries.dedup();
    assert!(retries.len() > 25, "{retries:?}");
}

#[tokio::test]
async fn later_may_be_as_late_as_can_be() {
    let response = get("/never").to(&App::new().endpoint()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&response, "retry-after"), u64::MAX.to_string());
    assert_eq!(header(&response, "tidings-retry-ms"), u64::MAX.to_string());
}
