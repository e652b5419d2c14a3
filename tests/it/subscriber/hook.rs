//! How many ask for state at once, and what is left behind by who goes while it does.

use std::time::Duration;

use super::app::{App, Hook};
use crate::support::http::{To, get, header, pass, piece, text};
use http::StatusCode;

const POLL: &str = "/events?wait=20&cursor=nonsense";

/// Asking for state takes a place among the attaches: who finds none is told of the gap alone, or to come later.
#[tokio::test(start_paused = true)]
async fn a_herd_asks_for_as_much_state_as_there_are_places() {
    let app = App::new(4).does(Hook::Wait);
    let endpoint = app.builder().max_concurrent_calls(8).build();
    let mut herd = Vec::new();
    for _ in 0..100 {
        let mut body = get("/?transport=sse").to(&endpoint).await.into_body();
        herd.push(tokio::spawn(async move {
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
    let told = herd.iter().filter(|visit| visit.is_finished()).count();
    app.release();
    let mut mended = 0;
    for visit in herd {
        mended += usize::from(visit.await.unwrap());
    }
    assert_eq!((told, mended, app.running()), (92, 8, (0, 8)));
    // All places are free again.
    app.does(Hook::State);
    assert!(text(get(POLL).to(&endpoint).await).await.contains(r#""snapshot":true"#));
    assert_eq!(endpoint.session_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_goes_while_state_is_on_its_way_leaves_nothing_behind() {
    let app = App::new(4).does(Hook::Wait);
    let endpoint = app.builder().max_concurrent_calls(1).build();
    app.count(3);
    for target in
        [POLL, "/events?cursor=nonsense", "/?transport=sse&cursor=nonsense", "/?transport=chunked&cursor=nonsense"]
    {
        let visitor = endpoint.clone();
        let visit = tokio::spawn(async move {
            let mut body = get(target).to(&visitor).await.into_body();
            while piece(&mut body).await.is_some() {}
        });
        pass(Duration::from_millis(10)).await;
        assert_eq!((app.running().0, app.board().hub().stats().subscriptions), (1, 1), "{target}");
        visit.abort();
        assert!(visit.await.unwrap_err().is_cancelled());
        assert_eq!((app.running().0, endpoint.session_count(), app.board().hub().stats().subscriptions), (0, 0, 0));
    }
}

/// A poll whose state does not come before its hold is over leaves its client where it was.
#[tokio::test(start_paused = true)]
async fn a_poll_is_not_held_beyond_its_time_for_state() {
    let app = App::new(4).does(Hook::Wait);
    let endpoint = app.builder().build();
    app.count(1);
    let before = app.last();
    app.count(10);
    let response = get(&format!("/events?wait=5&cursor={before}")).to(&endpoint).await;
    assert_eq!((response.status(), header(&response, "etag")), (StatusCode::OK, &*format!("\"{before}\"")));
    assert_eq!(text(response).await, format!(r#"{{"cursor":"{before}","events":[]}}"#));
    assert_eq!(app.running().0, 0);
}

/// A drain does not wait for state, and its clients come back to where they were.
#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_state() {
    let app = App::new(4).does(Hook::Wait);
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
    assert_eq!(text(poll.await.unwrap()).await, r#"{"cursor":"0.0","events":[]}"#);
    assert_eq!((app.running().0, endpoint.session_count()), (0, 0));
}
