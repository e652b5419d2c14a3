//! Ends of streams that answer a POST.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_core::Stream;
use tidings::subscriber::from_stream;
use tidings::{EndReason, Event, Topic};

use super::support::{Desk, parts, until};
use super::wire::serve_axum;
use crate::support::http::{RawClient, header, request, text};

/// A stream of two events, which counts its polls.
struct Words(u32, Arc<AtomicUsize>);

impl Stream for Words {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Event>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0 += 1;
        Poll::Ready((self.0 <= 2).then(|| Event::text(format!("word {}", self.0))))
    }
}

#[tokio::test]
async fn finite_stream_that_answers_a_post_ends_cleanly_and_is_not_polled_for_a_client_that_returns() {
    for (query, end) in [("", Some("event: tidings.end\n")), ("controls=off", None)] {
        let (desk, polls) = (Desk::new(), Arc::new(AtomicUsize::new(0)));
        let words = || from_stream(Topic::new("answer").unwrap(), Words(0, polls.clone()));
        let target = format!("/?{query}");
        let response = desk.events.respond(parts(request("POST", &target)), words()).await;
        let read = text(response).await;
        assert!(read.contains("data: word 1\n") && read.contains("data: word 2\n"), "{read}");
        assert_eq!(end.is_some_and(|end| read.contains(end)), end.is_some(), "{read}");
        assert_eq!(read.contains("event: tidings."), end.is_some(), "{read}");
        let before = polls.load(Ordering::Relaxed);
        assert!(before >= 3);
        if end.is_some() {
            let id = read.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().unwrap();
            let again = parts(request("POST", &target).header("last-event-id", id));
            assert_eq!(desk.events.respond(again, words()).await.status(), 204);
            assert_eq!(polls.load(Ordering::Relaxed), before);
        }
        assert_eq!(desk.open(), (0, 0));
    }
}

#[tokio::test]
async fn post_to_a_topic_that_ends_reads_its_end_and_a_clean_end_of_the_response() {
    for (accept, end) in [("text/event-stream", "event: tidings.end\n"), ("application/x-ndjson", "\"end\":{")] {
        let desk = Desk::new();
        let mut client = RawClient::connect(serve_axum(&desk).await).await;
        let body = r#"{"text":"why?"}"#;
        client
            .send(format!(
                "POST /ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 Accept: {accept}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            ))
            .await;
        client.head().await;
        client.until("\n").await;
        desk.publish("because");
        desk.hub.finish(Topic::new("answer").unwrap(), EndReason::Done).unwrap();
        let rest = client.until_end().await;
        assert!(rest.contains("because") && rest.contains(end) && rest.ends_with("\r\n0\r\n\r\n"), "{rest}");
        // A client that was cut before the end gets the rest and the end, and one that has both gets the end.
        let mut body = desk.send(request("POST", "/?cursor=0.0").header("accept", accept)).await.into_body();
        let rest = until(&mut body, end).await;
        assert!(rest.contains("because"), "{rest}");
        let cursor = desk.hub.cursor();
        let response = desk.send(request("POST", &format!("/?cursor={cursor}")).header("accept", accept)).await;
        let is_sse = accept == "text/event-stream";
        assert_eq!((response.status().as_u16(), header(&response, "content-type")), (200, accept));
        let read = text(response).await;
        assert!(read.contains("\"end\":{}") && read.contains("\nretry: 86400000\n") == is_sse, "{read}");
        // One that has waited for the day of the end gets 204 from SSE.
        let with_id = request("POST", "/").header("accept", accept).header("last-event-id", cursor.to_string());
        let response = desk.send(with_id).await;
        assert_eq!(response.status(), if is_sse { 204 } else { 200 });
        assert_eq!(header(&response, "content-type"), if is_sse { "" } else { accept });
    }
}

#[tokio::test]
async fn post_without_controls_gets_410_in_place_of_a_first_gap() {
    let response = Desk::new().send(request("POST", "/?controls=off&cursor=lost")).await;
    assert_eq!((response.status().as_u16(), header(&response, "content-type")), (410, "application/json"));
    assert!(text(response).await.contains("\"invalid\""));
}
