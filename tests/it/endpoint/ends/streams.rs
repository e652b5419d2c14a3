use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt;
use tidings::{Body, BodyError, EndReason, SessionEnd};

use super::script::{Script, id};
use crate::support::http::{To, get, header, pass, piece, request, text};

/// Reads a body to its end. Returns the text, and the error that it ended with.
async fn rest(mut body: Body) -> (String, Option<BodyError>) {
    let mut read = String::new();
    loop {
        match body.frame().await {
            Some(Ok(frame)) => read.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap()),
            Some(Err(error)) => return (read, Some(error)),
            None => return (read, None),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn stream_sends_each_end_and_ends_cleanly() {
    for (target, first, last) in [
        (
            "/?transport=chunked",
            format!("{{\"id\":\"{}\",\"end\":{{\"topic\":\"scores\",\"reason\":\"done\"}}}}\n", id(1)),
            format!("{{\"id\":\"{}\",\"end\":{{\"topic\":\"news\",\"reason\":\"stopped\"}}}}\n", id(2)),
        ),
        (
            "/?transport=sse",
            format!(
                "event: tidings.topic_end\ndata: {{\"id\":\"{0}\",\"end\":{{\"topic\":\"scores\",\"reason\":\"done\"}}}}\nid: {0}\n\n",
                id(1)
            ),
            format!(
                "event: tidings.end\nretry: 86400000\ndata: {{\"id\":\"{0}\",\"end\":{{\"topic\":\"news\",\"reason\":\"stopped\"}}}}\nid: {0}\n\n",
                id(2)
            ),
        ),
    ] {
        for query in ["", "&format=object"] {
            let script = Script::new();
            let endpoint = script.endpoint();
            let mut body = get(&format!("{target}{query}")).to(&endpoint).await.into_body();
            piece(&mut body).await;
            script.feed.topic_end("scores", EndReason::Done);
            assert_eq!(piece(&mut body).await, Some(Ok(first.clone())));
            assert_eq!(script.sessions(), ["joined"]);
            let cursor = endpoint.sessions()[0].cursor;
            assert_eq!(cursor.map(|cursor| cursor.to_string()), Some(id(1)), "the client has the end");
            script.feed.last_topic_end("news", EndReason::Stopped);
            assert_eq!(piece(&mut body).await, Some(Ok(last.clone())), "one piece");
            assert_eq!(piece(&mut body).await, None, "a clean end");
            drop(body);
            assert_eq!(script.sessions(), ["left Finished"]);
            let stats = endpoint.stats();
            assert_eq!((stats.live(), stats.left_for(SessionEnd::Finished), stats.left()), (0, 1, 1));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn event_source_after_the_last_end_gets_204_and_no_session() {
    let script = Script::new();
    let endpoint = script.builder().allow_origin("https://app.example").build();
    script.feed.event("news", "first");
    let last = script.feed.last_topic_end("news", EndReason::Done);
    let after = tidings::Cursor::new(7, last.sequence() + 5).to_string();
    let last = last.to_string();
    for (target, cursor) in [("/", &last), ("/?format=object", &last), ("/?controls=off", &last), ("/", &after)] {
        let request = get(target).header("accept", "text/event-stream").header("last-event-id", cursor);
        let response = request.header("origin", "https://app.example").to(&endpoint).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(header(&response, "access-control-allow-origin"), "https://app.example");
        assert_eq!(header(&response, "cache-control"), "no-store, no-transform");
        assert_eq!(header(&response, "content-type"), "");
        assert_eq!(text(response).await, "");
    }
    assert_eq!(script.sessions(), Vec::<String>::new());
    let stats = endpoint.stats();
    assert_eq!((stats.subscribed, stats.joined, stats.left(), stats.live()), (4, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn event_source_after_the_last_end_is_authorized_first() {
    let script = Script::new();
    let last = script.feed.last_topic_end("news", EndReason::Done);
    let endpoint = script.endpoint();
    let request = get("/forbidden?transport=sse").header("last-event-id", last.to_string());
    assert_eq!(request.to(&endpoint).await.status(), StatusCode::FORBIDDEN);
    let request =
        get("/?transport=sse").header("last-event-id", last.to_string()).header("origin", "https://evil.example");
    assert_eq!(request.to(&endpoint).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(script.calls(), 1);
}

/// A client with a stored cursor has not seen the block of the end, and many clients retry after a 204.
#[tokio::test(start_paused = true)]
async fn client_after_the_last_end_without_an_event_id_gets_the_end_in_one_piece_and_no_session() {
    let script = Script::new();
    let retry = Duration::from_millis(1500);
    let builder = || script.builder().retry(retry..=retry).allow_origin("https://app.example");
    let last = script.feed.last_topic_end("news", EndReason::Done).to_string();
    let end = format!("event: tidings.end\nretry: 86400000\ndata: {{\"id\":\"{last}\",\"end\":{{}}}}\nid: {last}\n\n");
    let hello = |heartbeat: &str| {
        let data = format!("{{\"tidings\":\"hello\",\"cursor\":\"{last}\",\"heartbeat_ms\":{heartbeat}}}");
        format!(":\nretry: 1500\nevent: tidings.hello\ndata: {data}\nid: {last}\n\n")
    };
    let endpoint = builder().build();
    for (request, heartbeat) in [
        (get(&format!("/?cursor={last}")), "null"),
        (get(&format!("/?lastEventId={last}&format=object")), "null"),
        (get(&format!("/?cursor={last}&heartbeat=visible")), "15000"),
        (get(&format!("/?cursor={last}")).header("last-event-id", ""), "null"),
        (get("/").header("if-none-match", format!("\"{last}\"")), "null"),
    ] {
        let request = request.header("accept", "text/event-stream").header("origin", "https://app.example");
        let response = request.to(&endpoint).await;
        assert_eq!((response.status(), header(&response, "content-type")), (StatusCode::OK, "text/event-stream"));
        assert_eq!(header(&response, "access-control-allow-origin"), "https://app.example");
        assert_eq!(header(&response, "cache-control"), "no-store, no-transform");
        let mut body = response.into_body();
        assert_eq!(piece(&mut body).await, Some(Ok(hello(heartbeat) + &end)));
        assert_eq!(piece(&mut body).await, None, "a clean end");
    }
    let without_hello = builder().sse_hello(false).build();
    let read = text(get(&format!("/?transport=sse&cursor={last}")).to(&without_hello).await).await;
    assert_eq!(read, format!(":\n{end}"));
    // There is no such block without control blocks.
    for (endpoint, target) in [(&endpoint, "/?controls=off"), (&builder().sse_controls(false).build(), "/?a")] {
        let response = get(&format!("{target}&transport=sse&cursor={last}")).to(endpoint).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
    }
    assert_eq!(script.sessions(), Vec::<String>::new());
    let stats = endpoint.stats();
    assert_eq!((stats.subscribed, stats.joined, stats.left(), stats.live()), (6, 0, 0, 0));
}

/// The publisher chose the start of a client that has no cursor.
#[tokio::test(start_paused = true)]
async fn client_without_a_cursor_that_has_nothing_left_gets_the_end() {
    let script = Script::new();
    let last = script.feed.last_topic_end("news", EndReason::Done);
    let endpoint = script.endpoint();
    for method in ["GET", "POST"] {
        let request = request(method, "/?transport=sse").body(String::new()).unwrap();
        let response = endpoint.respond(request, script.feed.resume(last)).await;
        assert_eq!(response.status(), StatusCode::OK);
        let read = text(response).await;
        assert!(read.ends_with(&format!("\nid: {last}\n\n")) && read.contains("\nretry: 86400000\n"), "{read}");
    }
}

/// One event before the last end, the client still gets it and the end.
#[tokio::test(start_paused = true)]
async fn event_source_before_the_last_end_gets_the_rest() {
    let script = Script::new();
    script.feed.event("news", "first");
    script.feed.last_topic_end("news", EndReason::Done);
    let endpoint = script.endpoint();
    for (cursor, events) in [(0, 1), (1, 0)] {
        let response = get("/?transport=sse").header("last-event-id", id(cursor)).to(&endpoint).await;
        let (read, error) = rest(response.into_body()).await;
        assert_eq!((read.matches("data: first\n").count(), read.matches("event: tidings.end\n").count()), (events, 1));
        assert_eq!(error, None);
    }
}

/// A snapshot that comes with the subscriber is delivered, also if all topics have ended.
#[tokio::test(start_paused = true)]
async fn snapshot_of_a_client_after_the_last_end_is_sent() {
    let script = Script::new();
    let last = script.feed.last_topic_end("news", EndReason::Done);
    let endpoint = script.endpoint();
    let response = get("/?transport=sse&opening").header("last-event-id", last.to_string()).to(&endpoint).await;
    assert_eq!(response.status(), StatusCode::OK);
    let (read, error) = rest(response.into_body()).await;
    let end = format!("event: tidings.end\nretry: 86400000\ndata: {{\"id\":\"{last}\",\"end\":{{}}}}\nid: {last}\n\n");
    assert!(read.contains("data: state\n") && read.ends_with(&end), "{read}");
    assert_eq!(error, None);
    assert_eq!(script.sessions(), ["joined", "left Finished"]);
}

#[tokio::test(start_paused = true)]
async fn chunked_stream_after_the_last_end_is_a_hello_and_an_end() {
    let script = Script::new();
    let last = script.feed.last_topic_end("news", EndReason::Done);
    let endpoint = script.endpoint();
    let (read, error) = rest(get(&format!("/?transport=chunked&cursor={last}")).to(&endpoint).await.into_body()).await;
    let hello = format!("{{\"tidings\":\"hello\",\"cursor\":\"{last}\",\"heartbeat_ms\":15000}}\n");
    assert_eq!((read, error), (format!("{hello}{{\"id\":\"{last}\",\"end\":{{}}}}\n"), None));
    assert_eq!(script.sessions(), ["joined", "left Finished"]);
}

/// A client must not be asked to reconnect if it has the last end, or gets it in the drain.
#[tokio::test(start_paused = true)]
async fn drain_of_an_ended_stream_ends_it_cleanly() {
    for target in ["/?transport=sse", "/?transport=chunked"] {
        for is_told in [false, true] {
            let script = Script::new();
            let endpoint = script.endpoint();
            let mut body = get(target).to(&endpoint).await.into_body();
            piece(&mut body).await;
            script.feed.last_topic_end("news", EndReason::Done);
            if is_told {
                assert!(piece(&mut body).await.unwrap().unwrap().contains("\"end\""));
            }
            let drain = tokio::spawn(endpoint.drain());
            pass(Duration::from_millis(10)).await;
            let (read, error) = rest(body).await;
            assert_eq!((read.matches("\"end\"").count(), error), (usize::from(!is_told), None), "{read}");
            assert!(!read.contains("tidings.retry") && !read.contains("bye"), "{read}");
            drain.await.unwrap();
        }
    }
}

/// Without an end, a drain still breaks the stream off.
#[tokio::test(start_paused = true)]
async fn drain_of_a_stream_with_one_ended_topic_breaks_it_off() {
    let script = Script::new();
    let endpoint = script.endpoint();
    let mut body = get("/?transport=sse").to(&endpoint).await.into_body();
    piece(&mut body).await;
    script.feed.topic_end("scores", EndReason::Done);
    let drain = tokio::spawn(endpoint.drain());
    pass(Duration::from_millis(10)).await;
    let (read, error) = rest(body).await;
    assert!(read.contains("tidings.topic_end") && read.contains("tidings.retry"), "{read}");
    assert_eq!(error, Some(BodyError::Ended));
    drain.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn revoked_stream_gets_no_end() {
    let script = Script::new();
    let endpoint = script.endpoint();
    let mut body = get("/?transport=sse").to(&endpoint).await.into_body();
    piece(&mut body).await;
    script.feed.last_topic_end("news", EndReason::Done);
    let id = endpoint.sessions().first().map(|info| info.session.id());
    assert!(id.is_some_and(|id| endpoint.revoke(id)));
    let (read, error) = rest(body).await;
    assert_eq!((&*read, error), ("", Some(BodyError::Revoked)));
}

#[tokio::test(start_paused = true)]
async fn head_of_a_stream_does_not_ask_for_its_end() {
    let script = Script::new();
    let last = script.feed.last_topic_end("news", EndReason::Done);
    let endpoint = script.endpoint();
    let response = request("HEAD", &format!("/?transport=sse&cursor={last}")).to(&endpoint).await;
    assert_eq!((response.status(), script.calls()), (StatusCode::OK, 0));
}
