use std::time::Duration;

use http::StatusCode;
use tidings::stats::SessionState;
use tidings::{Endpoint, SessionEnd, Transport};
use tokio::task::JoinHandle;

use crate::support::http::{App, SessionEvent, To, get, pass, settle, text};

/// Polls. Returns the status and the text of the reply.
async fn poll(endpoint: &Endpoint, target: &str) -> (u16, String) {
    let answer = get(target).to(endpoint).await;
    (answer.status().as_u16(), text(answer).await)
}

/// Starts a poll at the hub's cursor, which is held.
fn polling(app: &App, endpoint: &Endpoint, target: &str) -> JoinHandle<(u16, String)> {
    let (endpoint, target) = (endpoint.clone(), format!("{target}&cursor={}", app.hub.cursor()));
    tokio::spawn(async move { poll(&endpoint, &target).await })
}

#[tokio::test(start_paused = true)]
async fn poll_session_spans_short_and_long_polls_until_its_timeout() {
    let app = App::with_limit_key();
    let endpoint = app.builder().long_poll_timeout(Duration::from_secs(10)).build();
    let begin = tokio::time::Instant::now();
    for round in 0..5 {
        assert_eq!(poll(&endpoint, "/?session=a").await.0, 200);
        assert_eq!(polling(&app, &endpoint, "/?session=a&wait=5").await.unwrap().0, 200);
        assert_eq!(app.session_events(), [SessionEvent::Joined(1)], "round {round}");
        let info = &endpoint.sessions()[0];
        assert_eq!((info.state, info.session.transport()), (SessionState::Idle, Transport::ShortPoll));
        assert_eq!(info.session.name(), Some("a"));
        pass(Duration::from_millis(19_900)).await;
    }
    assert!(begin.elapsed() > Duration::from_secs(60));
    assert_eq!((endpoint.session_count(), endpoint.stats().sessions_in(SessionState::Idle)), (1, 1));
    // Twice the hold after the end of the last poll.
    pass(Duration::from_millis(110)).await;
    assert_eq!(app.end_reason(), SessionEnd::Silent);
    assert_eq!(endpoint.session_count(), 0);
    poll(&endpoint, "/?session=a").await;
    assert_eq!(app.session_events().last(), Some(&SessionEvent::Joined(endpoint.sessions()[0].session.id().get())));
}

#[tokio::test(start_paused = true)]
async fn poll_session_timeout_runs_from_the_end_of_the_last_poll() {
    let app = App::with_limit_key();
    let endpoint = app.builder().poll_session_timeout(Duration::from_secs(3)).build();
    let held = polling(&app, &endpoint, "/?session=a&wait=50");
    pass(Duration::from_secs(30)).await;
    assert_eq!(endpoint.sessions()[0].state, SessionState::Open);
    app.publish("one");
    settle().await;
    assert!(held.await.unwrap().1.contains("one"));
    pass(Duration::from_millis(2_950)).await;
    assert_eq!(app.left(), []);
    pass(Duration::from_millis(100)).await;
    assert_eq!(app.end_reason(), SessionEnd::Silent);
}

#[tokio::test(start_paused = true)]
async fn concurrent_polls_of_one_name_are_answered_and_leave_once() {
    let app = App::with_limit_key();
    let endpoint = app.builder().poll_session_timeout(Duration::from_secs(3)).build();
    let tabs = [0, 1].map(|_| polling(&app, &endpoint, "/?session=tab&wait=50"));
    pass(Duration::from_secs(1)).await;
    assert_eq!((endpoint.session_count(), app.session_events()), (1, vec![SessionEvent::Joined(1)]));
    app.publish("one");
    for tab in tabs {
        let (status, body) = tab.await.unwrap();
        assert_eq!(status, 200);
        assert!(body.contains("one"));
    }
    // One poll holds the session alone, then a second one joins it.
    let one = polling(&app, &endpoint, "/?session=tab&wait=50");
    pass(Duration::from_secs(5)).await;
    let other = polling(&app, &endpoint, "/?session=tab&wait=50");
    settle().await;
    one.abort();
    pass(Duration::from_secs(5)).await;
    assert_eq!(app.left(), [], "the other holds it");
    other.abort();
    pass(Duration::from_secs(4)).await;
    assert_eq!(app.end_reason(), SessionEnd::Silent);
}

#[tokio::test(start_paused = true)]
async fn rejected_poll_neither_joins_nor_extends_a_session() {
    let app = App::with_limit_key();
    let endpoint = app.builder().poll_session_timeout(Duration::from_secs(3)).build();
    assert_eq!(poll(&endpoint, "/forbidden?session=a").await.0, 403);
    assert_eq!(app.session_events(), []);
    poll(&endpoint, "/?session=a").await;
    for _ in 0..3 {
        pass(Duration::from_millis(999)).await;
        assert_eq!(poll(&endpoint, "/forbidden?session=a").await.0, 403);
        assert_eq!(poll(&endpoint, "/forbidden?session=a&wait=9").await.0, 403);
    }
    pass(Duration::from_millis(10)).await;
    assert_eq!(app.end_reason(), SessionEnd::Silent);
}

#[tokio::test(start_paused = true)]
async fn session_name_is_scoped_to_its_key_and_to_polls() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    poll(&endpoint, "/?session=a").await;
    poll(&endpoint, "/?session=a&key=one").await;
    poll(&endpoint, "/?session=a&key=two").await;
    poll(&endpoint, "/?session=b&key=two").await;
    poll(&endpoint, "/?session=b&key=two").await;
    poll(&endpoint, "/?key=two").await;
    assert_eq!(endpoint.session_count(), 4);
    let streams = [0, 1].map(|_| get("/?session=a&transport=sse"));
    for stream in streams {
        std::mem::forget(stream.to(&endpoint).await);
    }
    assert_eq!(
        (endpoint.session_count(), app.session_events().len()),
        (6, 6),
        "two streams of a name are two sessions"
    );
    let named = endpoint.sessions().iter().filter(|info| info.session.name() == Some("a")).count();
    assert_eq!(named, 5);
    assert_eq!(poll(&endpoint, "/?session=a").await.0, 200);
    assert_eq!(endpoint.session_count(), 6);
}

#[tokio::test(start_paused = true)]
async fn session_name_has_1_to_64_visible_characters() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let long = "x".repeat(64);
    for (name, good) in [
        ("a", true),
        ("%21~%2F", true),
        (&long, true),
        (&format!("{long}x"), false),
        ("", false),
        ("a%20b", false),
        ("%C3%A9", false),
        ("%00", false),
        ("%7F", false),
        ("%FF", false),
    ] {
        let expected = if good { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        for rest in ["", "&transport=sse", "&wait=0"] {
            let answer = get(&format!("/?session={name}{rest}")).to(&endpoint).await;
            assert_eq!(answer.status(), expected, "{name:?}");
        }
        let posted = crate::support::http::request("POST", &format!("/?session={name}")).to(&endpoint).await;
        assert_eq!(posted.status() == StatusCode::BAD_REQUEST, !good, "{name:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn ended_poll_session_answers_its_polls_and_the_next_poll_begins_another() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let tabs = [0, 1].map(|_| polling(&app, &endpoint, "/?session=a&wait=50"));
    settle().await;
    let id = endpoint.sessions()[0].session.id();
    assert!(endpoint.disconnect(id));
    // A poll that arrives while the others are being answered belongs to the next session.
    let next = polling(&app, &endpoint, "/?session=a&wait=50");
    for tab in tabs {
        assert_eq!(tab.await.unwrap().0, 200);
    }
    settle().await;
    assert_eq!(app.session_events().len(), 3);
    assert_eq!(app.left(), [(1, SessionEnd::Disconnected)]);
    let info = endpoint.sessions().remove(0);
    assert_ne!(info.session.id(), id);
    assert!(endpoint.revoke(info.session.id()) && !endpoint.revoke(info.session.id()));
    assert_eq!(next.await.unwrap().0, 401);
    assert_eq!(app.left()[1], (info.session.id().get(), SessionEnd::Revoked));
    // Between two polls there is no client to answer.
    poll(&endpoint, "/?session=a").await;
    assert_eq!(endpoint.disconnect_where(|session| session.name() == Some("a")), 1);
    assert_eq!((app.left()[2].1, endpoint.session_count()), (SessionEnd::Disconnected, 0));
    poll(&endpoint, "/?session=a").await;
    assert_eq!(endpoint.revoke_where(|session| session.name() == Some("a")), 1);
    assert_eq!((app.left()[3].1, endpoint.session_count()), (SessionEnd::Revoked, 0));
    poll(&endpoint, "/?session=a").await;
    endpoint.drain().await;
    assert_eq!((app.left()[4].1, endpoint.session_count()), (SessionEnd::Drained, 0));
}

#[tokio::test(start_paused = true)]
async fn poll_session_has_at_most_16_polls_at_once() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let polls: Vec<_> = (0..16).map(|_| polling(&app, &endpoint, "/?session=a&wait=50")).collect();
    settle().await;
    assert_eq!((endpoint.session_count(), app.session_events().len()), (1, 1));
    // Another poll is served outside of the session.
    let another = polling(&app, &endpoint, "/?session=a&wait=50");
    settle().await;
    assert_eq!(poll(&endpoint, "/?session=a").await.0, 200);
    assert_eq!((endpoint.session_count(), app.session_events().len()), (2, 2));
    app.publish("one");
    for poll in polls.into_iter().chain([another]) {
        assert!(poll.await.unwrap().1.contains("one"));
    }
    assert_eq!(poll(&endpoint, "/?session=a").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn panic_in_a_poll_ends_its_session() {
    let app = App::with_limit_key();
    let endpoint = app.endpoint();
    let held = polling(&app, &endpoint, "/?session=a&panic&wait=50");
    settle().await;
    app.publish("panic");
    assert_eq!(held.await.unwrap().0, 500);
    assert_eq!(app.end_reason(), SessionEnd::Panicked);
}
