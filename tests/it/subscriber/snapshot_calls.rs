//! Snapshot calls of an endpoint: their limit, their timeouts, and clients that disconnect during a call.

use std::time::Duration;

use crate::support::counting::{CountingApp, SnapshotCall};
use crate::support::http::{To, get, header, pass, piece, text};
use http::StatusCode;

const POLL: &str = "/events?wait=20&cursor=nonsense";

/// A snapshot call counts as one of the concurrent calls. Over the limit a stream gets the gap alone, and a poll a 503.
#[tokio::test(start_paused = true)]
async fn snapshot_calls_of_many_clients_are_limited_by_max_concurrent_calls() {
    let app = CountingApp::new(4).with_snapshot_call(SnapshotCall::Wait);
    let endpoint = app.builder().max_concurrent_calls(8).build();
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut body = get("/?transport=sse").to(&endpoint).await.into_body();
        clients.push(tokio::spawn(async move {
            loop {
                let piece = piece(&mut body).await.unwrap().unwrap();
                if piece.contains("tidings.gap") {
                    return piece.contains(r#""snapshot":true"#);
                }
            }
        }));
    }
    pass(Duration::from_millis(10)).await;
    app.count(2_000);
    pass(Duration::from_millis(10)).await;
    assert_eq!(app.running(), (8, 8));
    assert_eq!(get(POLL).to(&endpoint).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let without_snapshot = clients.iter().filter(|client| client.is_finished()).count();
    app.release();
    let mut with_snapshot = 0;
    for client in clients {
        with_snapshot += usize::from(client.await.unwrap());
    }
    assert_eq!((without_snapshot, with_snapshot, app.running()), (92, 8, (0, 8)));
    // All calls have ended.
    app.with_snapshot_call(SnapshotCall::Snapshot);
    assert!(text(get(POLL).to(&endpoint).await).await.contains(r#""snapshot":true"#));
    assert_eq!(endpoint.session_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn client_that_disconnects_during_a_snapshot_call_leaves_nothing() {
    let app = CountingApp::new(4).with_snapshot_call(SnapshotCall::Wait);
    let endpoint = app.builder().max_concurrent_calls(1).build();
    app.count(3);
    for target in
        [POLL, "/events?cursor=nonsense", "/?transport=sse&cursor=nonsense", "/?transport=chunked&cursor=nonsense"]
    {
        let served = endpoint.clone();
        let client = tokio::spawn(async move {
            let mut body = get(target).to(&served).await.into_body();
            while piece(&mut body).await.is_some() {}
        });
        pass(Duration::from_millis(10)).await;
        assert_eq!((app.running().0, app.counters().hub().stats().subscriptions), (1, 1), "{target}");
        client.abort();
        assert!(client.await.unwrap_err().is_cancelled());
        assert_eq!((app.running().0, endpoint.session_count(), app.counters().hub().stats().subscriptions), (0, 0, 0));
    }
}

/// A poll whose snapshot call takes longer than its timeout is answered with the same cursor.
#[tokio::test(start_paused = true)]
async fn long_poll_timeout_ends_a_poll_during_a_snapshot_call() {
    let app = CountingApp::new(4).with_snapshot_call(SnapshotCall::Wait);
    let endpoint = app.builder().build();
    app.count(1);
    let before = app.last();
    app.count(10);
    let response = get(&format!("/events?wait=5&cursor={before}")).to(&endpoint).await;
    assert_eq!((response.status(), header(&response, "etag")), (StatusCode::OK, &*format!("\"{before}\"")));
    assert_eq!(text(response).await, format!(r#"{{"cursor":"{before}","events":[]}}"#));
    assert_eq!(app.running().0, 0);
}

/// A drain does not wait for snapshot calls, and its clients keep their cursors.
#[tokio::test(start_paused = true)]
async fn drain_does_not_wait_for_a_snapshot_call() {
    let app = CountingApp::new(4).with_snapshot_call(SnapshotCall::Wait);
    let endpoint = app.builder().drain_timeout(Duration::from_secs(4)).build();
    app.count(3);
    let mut streams = Vec::new();
    for target in ["/?transport=sse&cursor=nonsense", "/?transport=chunked&cursor=nonsense"] {
        let mut body = get(target).to(&endpoint).await.into_body();
        streams.push(tokio::spawn(async move {
            let mut all = String::new();
            while let Some(Ok(piece)) = piece(&mut body).await {
                all += &piece;
            }
            all
        }));
    }
    let poll = tokio::spawn(endpoint.handle(get(POLL).body(String::new()).unwrap()));
    pass(Duration::from_millis(10)).await;
    assert_eq!(app.running().0, 3);
    endpoint.drain().await;
    for stream in streams {
        assert!(!stream.await.unwrap().contains("gap"));
    }
    assert_eq!(text(poll.await.unwrap()).await, r#"{"cursor":"0.a2","events":[]}"#);
    assert_eq!((app.running().0, endpoint.session_count()), (0, 0));
}
