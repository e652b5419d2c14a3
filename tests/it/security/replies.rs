//! Rows 12, 21 and 33 of the [table](super): a poll lasts until the client has taken its reply. Until then its session counts,
//! and can be ended.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, Version};
use http_body_util::{BodyExt, Empty};
use tidings::{Body, BodyError, Endpoint, SessionEnd, Transport};

use crate::support::http::{App, get, pass, settle};

const STALL: Duration = Duration::from_secs(10);
const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];
const LARGE: usize = 200_000;
/// A poll that is its own session, and polls of a named session.
const SESSIONS: [(Transport, &str); 3] = [
    (Transport::LongPoll, "wait=20"),
    (Transport::LongPoll, "wait=20&session=tab"),
    (Transport::ShortPoll, "session=tab"),
];

/// Returns an application with one event of at least four frames.
fn app() -> App {
    let app = App::with_limit_key();
    app.publish(&"x".repeat(LARGE));
    app
}

async fn ask(endpoint: &Endpoint, transport: Transport, query: &str, version: Version) -> Response<Body> {
    let target = format!("/?transport={}&{query}&oldest", transport.as_str());
    endpoint.handle(get(&target).version(version).body(Empty::<Bytes>::new()).unwrap()).await
}

async fn frame(body: &mut Body) -> Option<Result<usize, BodyError>> {
    Some(body.frame().await?.map(|frame| frame.into_data().unwrap().len()))
}

async fn rest(body: &mut Body) -> usize {
    let mut bytes = 0;
    while let Some(frame) = frame(body).await {
        bytes += frame.unwrap();
    }
    bytes
}

fn cases() -> impl Iterator<Item = (Transport, &'static str, Version)> {
    SESSIONS.into_iter().flat_map(|(transport, query)| VERSIONS.map(|version| (transport, query, version)))
}

#[tokio::test(start_paused = true)]
async fn row_21_revoke_ends_a_reply_under_way() {
    for (transport, query, version) in cases() {
        let (app, context) = (app(), format!("{transport:?} {query} over {version:?}"));
        let endpoint = app.builder().write_timeout(STALL).build();
        let mut body = ask(&endpoint, transport, query, version).await.into_body();
        frame(&mut body).await.unwrap().unwrap();
        assert_eq!(endpoint.revoke_where(|_| true), 1, "{context}");
        assert_eq!(frame(&mut body).await, Some(Err(BodyError::Revoked)), "{context}");
        assert_eq!(frame(&mut body).await, None, "{context}");
        drop(body);
        assert_eq!((endpoint.session_count(), app.end_reason()), (0, SessionEnd::Revoked), "{context}");
    }
}

/// A short poll without a session name has no session, but its reply ends with its lifetime, too.
#[tokio::test(start_paused = true)]
async fn row_21_reply_ends_with_the_lifetime_of_its_poll() {
    for (transport, query, version) in
        cases().chain(VERSIONS.map(|version| (Transport::ShortPoll, "anonymous", version)))
    {
        let (app, context) = (app(), format!("{transport:?} {query} over {version:?}"));
        let endpoint = app.builder().write_timeout(STALL).build();
        let query = format!("{query}&lifetime=3000");
        let mut body = ask(&endpoint, transport, &query, version).await.into_body();
        frame(&mut body).await.unwrap().unwrap();
        pass(Duration::from_millis(2_900)).await;
        frame(&mut body).await.unwrap().unwrap();
        pass(Duration::from_millis(200)).await;
        assert_eq!(frame(&mut body).await, Some(Err(BodyError::Revoked)), "{context}");
    }
}

#[tokio::test(start_paused = true)]
async fn row_12_session_counts_for_its_key_until_its_reply_is_taken() {
    for (transport, query, version) in cases() {
        let (app, context) = (app(), format!("{transport:?} {query} over {version:?}"));
        let endpoint = app.builder().max_sessions_per_key(1).poll_session_timeout(Duration::from_secs(1)).build();
        let mut body = ask(&endpoint, transport, query, version).await.into_body();
        frame(&mut body).await.unwrap().unwrap();
        let other = ask(&endpoint, Transport::Sse, "", version).await;
        assert_eq!(endpoint.session_count(), 1, "{context}");
        drop(other);
        rest(&mut body).await;
        drop(body);
        // A named session outlives its polls.
        pass(Duration::from_secs(3)).await;
        assert_eq!(app.end_reason(), SessionEnd::Silent, "{context}");
        let other = ask(&endpoint, Transport::Sse, "", version).await;
        assert_eq!(endpoint.session_count(), 1, "{context}");
        drop(other);
    }
}

#[tokio::test(start_paused = true)]
async fn row_33_session_leaves_with_its_reply_and_a_reason() {
    for (version, is_whole, is_dropped, why) in VERSIONS.into_iter().flat_map(|version| {
        [
            (false, false, SessionEnd::Stalled),
            (true, false, SessionEnd::Stalled),
            (false, true, SessionEnd::Gone),
            // hyper drops the body when its length is taken.
            (true, true, SessionEnd::Silent),
        ]
        .map(|(is_whole, is_dropped, why)| (version, is_whole, is_dropped, why))
    }) {
        let (app, context) = (app(), format!("{version:?}, whole: {is_whole}, dropped: {is_dropped}"));
        let endpoint = app.builder().write_timeout(STALL).build();
        let response = ask(&endpoint, Transport::LongPoll, "wait=20", version).await;
        let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
        let (mut body, mut taken) = (response.into_body(), 0);
        while taken < if is_whole { length } else { 1 } {
            taken += frame(&mut body).await.unwrap().unwrap();
        }
        if is_dropped {
            drop(body);
        } else {
            pass(2 * STALL).await;
        }
        assert_eq!((endpoint.session_count(), app.end_reason()), (0, why), "{context}");
    }
}

#[tokio::test(start_paused = true)]
async fn row_33_disconnected_client_has_one_write_timeout_for_the_rest_of_its_reply() {
    for (transport, query, version) in cases() {
        let (app, context) = (app(), format!("{transport:?} {query} over {version:?}"));
        let endpoint = app.builder().write_timeout(STALL).build();
        let mut body = ask(&endpoint, transport, query, version).await.into_body();
        frame(&mut body).await.unwrap().unwrap();
        assert_eq!(endpoint.disconnect_where(|_| true), 1, "{context}");
        frame(&mut body).await.unwrap().unwrap();
        pass(STALL - Duration::from_secs(1)).await;
        frame(&mut body).await.unwrap().unwrap();
        pass(Duration::from_secs(2)).await;
        assert_eq!(frame(&mut body).await, Some(Err(BodyError::Ended)), "{context}");
        drop(body);
        assert_eq!((endpoint.session_count(), app.end_reason()), (0, SessionEnd::Disconnected), "{context}");
    }
}

/// The session goes on, since the next poll may be sent by another client with the same name.
#[tokio::test(start_paused = true)]
async fn row_33_poll_session_outlives_a_stalled_reply() {
    for version in VERSIONS {
        let app = app();
        let endpoint = app.builder().write_timeout(STALL).poll_session_timeout(Duration::from_secs(60)).build();
        let mut body = ask(&endpoint, Transport::ShortPoll, "session=tab", version).await.into_body();
        frame(&mut body).await.unwrap().unwrap();
        pass(2 * STALL).await;
        assert_eq!((endpoint.session_count(), app.left().len()), (1, 0));
        let mut second = ask(&endpoint, Transport::ShortPoll, "session=tab", version).await.into_body();
        assert!(rest(&mut second).await > LARGE);
        assert_eq!(endpoint.stats().joined, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn drain_waits_for_a_reply_under_way() {
    for (transport, query, version) in cases() {
        let app = app();
        let endpoint = app.builder().write_timeout(STALL).drain_timeout(Duration::from_secs(10)).build();
        let mut body = ask(&endpoint, transport, query, version).await.into_body();
        let first = frame(&mut body).await.unwrap().unwrap();
        let drain = tokio::spawn(endpoint.drain());
        pass(Duration::from_secs(5)).await;
        assert!(!drain.is_finished(), "{transport:?} {query} {version:?}");
        assert!(first + rest(&mut body).await > LARGE);
        drop(body);
        settle().await;
        assert!(drain.is_finished(), "{transport:?} {query} {version:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn drain_cuts_a_reply_at_its_timeout() {
    for (transport, query, version) in cases() {
        let app = app();
        let endpoint = app.builder().write_timeout(STALL).drain_timeout(Duration::from_secs(5)).build();
        let mut body = ask(&endpoint, transport, query, version).await.into_body();
        frame(&mut body).await.unwrap().unwrap();
        endpoint.drain().await;
        assert_eq!(endpoint.session_count(), 0, "{transport:?} {query} {version:?}");
        assert_eq!(frame(&mut body).await, Some(Err(BodyError::Ended)), "{transport:?} {query} {version:?}");
    }
}
