//! Drains with a delay between their announcement and the first end of a session.

use std::future::pending;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::StatusCode;
use tidings::{Endpoint, EndpointBuilder};
use tokio::time::Instant;

use crate::support::http::{App, To, get, pass, piece, stream};

const SECOND: Duration = Duration::from_secs(1);
const DELAY: Duration = Duration::from_secs(5);

fn endpoint(app: &App, set: impl FnOnce(EndpointBuilder) -> EndpointBuilder) -> Endpoint {
    set(app.builder().drain_delay(DELAY)).build()
}

#[tokio::test(start_paused = true)]
async fn drain_without_a_delay_is_announced_by_the_call() {
    let endpoint = App::new().endpoint();
    assert!(!endpoint.is_draining());
    drop(endpoint.drain());
    assert!(endpoint.is_draining());
    assert_eq!(get("/?transport=chunked").to(&endpoint).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn requests_and_sessions_are_served_in_the_drain_delay() {
    let app = App::new();
    let endpoint = endpoint(&app, |builder| builder);
    let mut old = stream(&endpoint, "/?transport=chunked").await;
    let begin = Instant::now();
    let drain = tokio::spawn(endpoint.drain());
    assert!(endpoint.is_draining());

    pass(DELAY - SECOND).await;
    let mut new = get("/?transport=sse").to(&endpoint).await.into_body();
    assert!(piece(&mut new).await.unwrap().unwrap().contains("event: tidings.hello\n"));
    assert_eq!(get("/?transport=short-poll").to(&endpoint).await.status(), StatusCode::OK);
    app.publish("in the delay");
    for body in [&mut old, &mut new] {
        assert!(piece(body).await.unwrap().unwrap().contains("in the delay"));
    }

    let (old, new) = (
        tokio::spawn(async move { (piece(&mut old).await, Instant::now()) }),
        tokio::spawn(async move { (piece(&mut new).await, Instant::now()) }),
    );
    drain.await.unwrap();
    for (body, last) in [(old, r#""tidings":"bye""#), (new, "event: tidings.retry\n")] {
        let (piece, at) = body.await.unwrap();
        assert!(piece.unwrap().unwrap().contains(last));
        assert!((DELAY..DELAY + SECOND).contains(&(at - begin)), "{:?}", at - begin);
    }
    assert_eq!(get("/?transport=chunked").to(&endpoint).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(endpoint.is_draining());
}

/// The endpoint has no session, and a load balancer may still send clients.
#[tokio::test(start_paused = true)]
async fn drain_without_sessions_lasts_for_the_delay() {
    let endpoint = endpoint(&App::new(), |builder| builder);
    let begin = Instant::now();
    endpoint.drain().await;
    assert!((DELAY..DELAY + SECOND).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn dropped_drain_ends_sessions_after_its_delay() {
    let app = App::new();
    let endpoint = endpoint(&app, |builder| builder);
    let mut body = stream(&endpoint, "/?transport=chunked").await;
    drop(endpoint.drain());
    pass(DELAY - SECOND).await;
    assert_eq!(endpoint.session_count(), 1);
    let begin = Instant::now();
    assert!(piece(&mut body).await.unwrap().unwrap().contains(r#""tidings":"bye""#));
    assert!(begin.elapsed() < 2 * SECOND, "{:?}", begin.elapsed());
}

/// A later drain does not begin a delay of its own.
#[tokio::test(start_paused = true)]
async fn second_drain_ends_sessions_with_the_first() {
    let app = App::new();
    let endpoint = endpoint(&app, |builder| builder);
    let _stalled = get("/?transport=chunked").to(&endpoint).await;
    let (begin, first) = (Instant::now(), tokio::spawn(endpoint.drain()));
    pass(DELAY - SECOND).await;
    endpoint.drain().await;
    first.await.unwrap();
    // The client takes nothing, so each drain lasts until its timeout of 10 s, which begins after the delay.
    assert_eq!((begin.elapsed().as_secs(), endpoint.session_count()), (15, 0));
    endpoint.drain().await;
    assert_eq!(begin.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn drain_timeout_begins_after_the_delay() {
    let endpoint = endpoint(&App::new(), |builder| builder.drain_timeout(3 * SECOND));
    let _stalled = get("/?transport=chunked").to(&endpoint).await;
    let begin = Instant::now();
    endpoint.drain().await;
    assert_eq!(begin.elapsed().as_secs(), 8);
}

#[tokio::test(start_paused = true)]
async fn announcement_ends_no_session_and_its_delay_is_not_repeated() {
    let app = App::new();
    let endpoint = endpoint(&app, |builder| builder);
    let mut body = stream(&endpoint, "/?transport=chunked").await;
    let mut unannounced = pin!(endpoint.announce_drain_on(pending::<()>()));
    assert_eq!(unannounced.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
    assert!(!endpoint.is_draining());

    let begin = Instant::now();
    endpoint.announce_drain_on(tokio::time::timeout(SECOND, pending::<()>())).await;
    assert!(endpoint.is_draining());
    assert!((SECOND + DELAY..2 * SECOND + DELAY).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    pass(2 * SECOND).await;
    assert_eq!(get("/?transport=short-poll").to(&endpoint).await.status(), StatusCode::OK);
    assert_eq!(endpoint.session_count(), 1);

    let begin = Instant::now();
    let drain = tokio::spawn(endpoint.drain());
    assert!(piece(&mut body).await.unwrap().unwrap().contains(r#""tidings":"bye""#));
    drop(body);
    drain.await.unwrap();
    assert!(begin.elapsed() < SECOND, "{:?}", begin.elapsed());
}

/// The longest delay is a year.
#[tokio::test(start_paused = true)]
async fn endless_delay_ends_no_session() {
    let app = App::new();
    let endpoint = app.builder().drain_delay(Duration::MAX).drain_timeout(Duration::MAX).build();
    let drain = tokio::spawn(endpoint.drain());
    pass(Duration::from_secs(24 * 60 * 60)).await;
    assert!(!drain.is_finished() && endpoint.is_draining());
    assert_eq!(get("/?transport=chunked").to(&endpoint).await.status(), StatusCode::OK);
}
