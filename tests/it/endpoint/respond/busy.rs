//! A POST that must retry later, and a stream of a POST in a drain.

use std::time::Duration;

use tidings::{Accepted, SessionEnd};

use super::support::{Desk, parts, until, with_body};
use crate::support::http::{header, piece, request, text};

#[tokio::test(start_paused = true)]
async fn busy_post_gets_503_with_its_cursor_and_a_get_of_sse_a_soft_reject() {
    let desk = Desk::with(|builder| builder.max_sessions(1).retry(Duration::from_secs(3)..=Duration::from_secs(3)));
    let _open = desk.send(request("POST", "/")).await;
    for accept in ["text/event-stream", "application/x-ndjson"] {
        let request = request("POST", "/").header("accept", accept).header("last-event-id", "0.0");
        let response = desk.send(request).await;
        assert_eq!((response.status().as_u16(), header(&response, "retry-after")), (503, "3"), "{accept}");
        assert_eq!(header(&response, "tidings-retry-ms"), "3000");
        assert_eq!(text(response).await, r#"{"error":"server is busy: retry later","cursor":"0.0"}"#);
    }
    assert_eq!((desk.events.stats().soft_rejects, desk.events.stats().refused_busy), (0, 2));
    let response = desk.send(request("GET", "/").header("accept", "text/event-stream")).await;
    assert_eq!((response.status().as_u16(), desk.events.stats().soft_rejects), (200, 1));
    assert!(until(&mut response.into_body(), "\n\n").await.contains("retry: 3000"));
    assert_eq!(desk.open(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn drain_ends_the_stream_of_a_post_with_a_retry_time_and_refuses_new_ones() {
    for (accept, bye) in [("text/event-stream", "event: tidings.retry\n"), ("application/x-ndjson", "\"bye\"")] {
        let desk = Desk::new();
        let mut body = desk.send(request("POST", "/").header("accept", accept)).await.into_body();
        piece(&mut body).await.unwrap().unwrap();
        desk.publish("last event");
        let drain = desk.events.drain();
        let response = desk.send(request("POST", "/").header("accept", accept)).await;
        assert_eq!(response.status(), 503);
        assert!(header(&response, "retry-after").parse::<u64>().unwrap() > 0);
        let mut read = String::new();
        while let Some(Ok(more)) = piece(&mut body).await {
            read += &more;
        }
        assert!(read.contains("last event") && read.contains(bye), "{read}");
        drop(body);
        drain.await;
        assert_eq!(desk.open(), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn stream_of_a_post_ends_when_its_authorization_expires() {
    let desk = Desk::new();
    let parts = parts(request("POST", "/"));
    let accepted = Accepted::new(desk.subscribe(&parts).unwrap()).with_lifetime(Duration::from_secs(60));
    let mut body = desk.events.respond(parts, accepted).await.into_body();
    piece(&mut body).await.unwrap().unwrap();
    let begin = tokio::time::Instant::now();
    while let Some(Ok(keep_alive)) = piece(&mut body).await {
        assert_eq!(keep_alive, ":\n");
    }
    drop(body);
    assert_eq!((begin.elapsed().as_secs(), desk.open()), (60, (0, 0)));
}

#[tokio::test]
async fn session_of_a_post_has_its_transport_and_ends_with_its_body() {
    let app = crate::support::http::App::new();
    let endpoint = app.endpoint();
    for (accept, transport) in
        [("text/event-stream", tidings::Transport::Sse), ("application/x-ndjson", tidings::Transport::Chunked)]
    {
        let subscription = app.hub.subscribe(tidings::Subscribe::topics(["answer"])).unwrap();
        let request = with_body(request("POST", "/?session=tab").header("accept", accept));
        let response = endpoint.respond(request, subscription).await;
        let stats = endpoint.stats();
        assert_eq!((stats.sessions_of(transport), endpoint.session_count()), (1, 1));
        drop(response);
        assert_eq!(app.left().last().unwrap().1, SessionEnd::Gone);
    }
    // The publisher is not asked, and gets no message.
    assert_eq!((app.subscribes(), app.messages().len(), endpoint.session_count()), (0, 0, 0));
}
