use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use http::StatusCode;
use http_body::Body as _;
use tidings::subscriber::{Delivery, SubscriptionEnd, from_stream};
use tidings::{Body, BodyError, Endpoint, Event, Rejection, SubscribeRequest, Subscriber, Topic};
use tokio::time::Instant;

use crate::support::http::{App, To, get, header, pass, piece, text};

async fn open(endpoint: &Endpoint, target: &str) -> Body {
    let response = get(target).to(endpoint).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body()
}

/// Reads to the end. Returns the pieces with the time of each in milliseconds, the error if any, and the time of the
/// end.
async fn rest(body: &mut Body) -> (Vec<(String, u128)>, Option<BodyError>, u128) {
    let (begin, mut pieces) = (Instant::now(), Vec::new());
    loop {
        let next = piece(body).await;
        let now = begin.elapsed().as_millis();
        match next {
            Some(Ok(text)) => pieces.push((text, now)),
            Some(Err(error)) => return (pieces, Some(error), now),
            None => return (pieces, None, now),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn stream_sends_hello_at_once_and_events_when_published() {
    let app = App::new();
    let endpoint = app.builder().retry(Duration::from_millis(1500)..=Duration::from_millis(1500)).build();
    let (mut sse, mut chunked) =
        (open(&endpoint, "/?transport=sse").await, open(&endpoint, "/?transport=chunked").await);
    let hello = piece(&mut sse).await.unwrap().unwrap();
    assert!(hello.starts_with(":\nretry: 1500\nevent: tidings.hello\n"), "{hello}");
    assert!(hello.ends_with(&format!("\nid: {}\n\n", app.hub.cursor())), "{hello}");
    assert!(piece(&mut chunked).await.unwrap().unwrap().starts_with(r#"{"tidings":"hello","#));
    let cursor = app.publish("one");
    let block = format!("data: one\nid: {cursor}\n\n");
    assert_eq!(piece(&mut sse).await.unwrap().unwrap(), block);
    let line = format!("{{\"id\":\"{cursor}\",\"topic\":\"news\",\"data\":\"one\"}}\n");
    assert_eq!(piece(&mut chunked).await.unwrap().unwrap(), line);
    assert_eq!((sse.size_hint().exact(), sse.is_end_stream()), (None, false));
}

#[tokio::test(start_paused = true)]
async fn query_sets_format_and_heartbeat_of_a_stream() {
    let app = App::new();
    let endpoint = app.endpoint();
    let mut sse = open(&endpoint, "/?transport=sse&format=object&heartbeat=visible").await;
    assert!(piece(&mut sse).await.unwrap().unwrap().contains("event: tidings.hello\n"));
    let cursor = app.publish("one");
    let object = format!("data: {{\"id\":\"{cursor}\",\"topic\":\"news\",\"data\":\"one\"}}\nid: {cursor}\n\n");
    assert_eq!(piece(&mut sse).await.unwrap().unwrap(), object);
    assert!(piece(&mut sse).await.unwrap().unwrap().starts_with("event: tidings.heartbeat\n"));
}

#[tokio::test(start_paused = true)]
async fn sse_without_hello_begins_with_a_comment_and_sends_retry_with_the_first_event() {
    let app = App::new();
    let endpoint =
        app.builder().sse_hello(false).retry(Duration::from_millis(1500)..=Duration::from_millis(1500)).build();
    let mut sse = open(&endpoint, "/?transport=sse").await;
    assert_eq!(piece(&mut sse).await.unwrap().unwrap(), ":\n");
    let cursor = app.publish("one");
    assert_eq!(piece(&mut sse).await.unwrap().unwrap(), format!("retry: 1500\ndata: one\nid: {cursor}\n\n"));
    let mut objects = open(&endpoint, "/?transport=sse&format=object").await;
    assert!(piece(&mut objects).await.unwrap().unwrap().contains("event: tidings.hello\n"));
}

/// Returns an endpoint of a source that ends with this reason.
fn ending(end: SubscriptionEnd) -> Endpoint {
    struct Source(Option<Event>, SubscriptionEnd);

    impl Subscriber for Source {
        fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Delivery> {
            Poll::Ready(match self.0.take() {
                Some(event) => {
                    Delivery::Events(tidings::subscriber::Batch::new(Topic::new("news").unwrap(), 7, [(1, event)]))
                }
                None => Delivery::End(self.1),
            })
        }
    }

    Endpoint::new(move |_| async move { Ok::<_, Rejection>(Source(Some("last".into()), end)) })
}

#[tokio::test(start_paused = true)]
async fn too_slow_stream_ends_with_an_error_and_finished_stream_without() {
    for (end, expected) in [
        (SubscriptionEnd::Finished, None),
        (SubscriptionEnd::Closed, None),
        (SubscriptionEnd::TooSlow, Some(BodyError::Ended)),
    ] {
        for target in ["/?transport=sse", "/?transport=chunked"] {
            let endpoint = ending(end);
            let mut body = open(&endpoint, target).await;
            let (pieces, error, after) = rest(&mut body).await;
            assert_eq!(error, expected, "{end:?}");
            let expected = if end == SubscriptionEnd::Finished { "\"end\":{}" } else { "last" };
            assert!(pieces.last().unwrap().0.contains(expected));
            // The last bytes must be on their way before the error.
            assert!(error.is_none() || (100..120).contains(&after), "{after} ms");
            assert!(piece(&mut body).await.is_none(), "an end is an end");
            drop(body);
            assert_eq!(endpoint.session_count(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn unread_body_loses_its_session_after_the_write_timeout() {
    let app = App::new();
    let endpoint = app.endpoint();
    for target in ["/?transport=sse", "/?transport=chunked"] {
        for pieces in 0..3 {
            let mut body = open(&endpoint, target).await;
            for number in 0..pieces {
                piece(&mut body).await.unwrap().unwrap();
                app.publish(&number.to_string());
            }
            let begin = Instant::now();
            assert_eq!((endpoint.session_count(), app.hub.stats().subscriptions), (1, 1));
            pass(Duration::from_millis(9_900)).await;
            assert_eq!(endpoint.session_count(), 1, "{target} after {pieces}");
            while endpoint.session_count() == 1 {
                pass(Duration::from_millis(10)).await;
            }
            assert!(begin.elapsed() <= Duration::from_millis(12_600), "{target}: {:?}", begin.elapsed());
            assert_eq!(app.hub.stats().subscriptions, 0);
            assert_eq!(piece(&mut body).await, Some(Err(BodyError::Stalled)));
        }
    }
    assert_eq!(endpoint.stats().stalled, 6);
}

#[tokio::test(start_paused = true)]
async fn body_without_pending_bytes_keeps_its_session() {
    let app = App::new();
    let endpoint = app.builder().keep_alive(Duration::from_secs(10_000)).build();
    let mut body = open(&endpoint, "/?transport=sse").await;
    let reader = tokio::spawn(async move { [piece(&mut body).await, piece(&mut body).await] });
    pass(Duration::from_secs(1_000)).await;
    assert_eq!((endpoint.session_count(), endpoint.stats().stalled), (1, 0));
    app.publish("one");
    assert!(reader.await.unwrap()[1].as_ref().unwrap().as_ref().unwrap().contains("data: one"));
}

#[tokio::test(start_paused = true)]
async fn fully_read_body_keeps_its_session_and_partly_read_body_loses_it() {
    const EVENTS: [&str; 4] = ["one", "two", "three", "four"];
    for transport in ["sse", "chunked"] {
        let app = App::new();
        let endpoint = app.builder().keep_alive(Duration::from_secs(10_000)).build();
        let target = format!("/?transport={transport}");
        let (mut read, mut unread) = (open(&endpoint, &target).await, open(&endpoint, &target).await);
        piece(&mut unread).await.unwrap().unwrap();
        // One task reads all pieces; another task would have to register again.
        let reader = tokio::spawn(async move {
            piece(&mut read).await.unwrap().unwrap();
            for event in EVENTS {
                assert!(piece(&mut read).await.unwrap().unwrap().contains(event));
            }
        });
        for event in &EVENTS[..3] {
            pass(Duration::from_secs(1)).await;
            app.publish(event);
            assert!(piece(&mut unread).await.unwrap().unwrap().contains(event));
        }
        pass(Duration::from_secs(1_000)).await;
        assert_eq!((endpoint.session_count(), endpoint.stats().stalled), (1, 1), "{transport}");
        app.publish(EVENTS[3]);
        reader.await.unwrap();
        assert_eq!(piece(&mut unread).await, Some(Err(BodyError::Stalled)));
    }
}

#[tokio::test(start_paused = true)]
async fn slowly_read_body_keeps_its_session() {
    let app = App::new();
    let endpoint = app.endpoint();
    let mut body = open(&endpoint, "/?transport=sse").await;
    for number in 0..30 {
        pass(Duration::from_secs(9)).await;
        piece(&mut body).await.unwrap().unwrap();
        app.publish(&number.to_string());
    }
    assert_eq!((endpoint.session_count(), endpoint.stats().stalled), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn panic_ends_its_own_session_only() {
    let news = || Topic::new("news").unwrap();
    let endpoint = Endpoint::new(move |request: SubscribeRequest| {
        let panics = request.path() == "/panic";
        let mut first = true;
        let events = poll_fn_stream(move |_| match (std::mem::replace(&mut first, false), panics) {
            (true, _) => Poll::Ready(Some(Event::text("one"))),
            (false, true) => panic!("in a stream"),
            (false, false) => Poll::Pending,
        });
        async move { Ok::<_, Rejection>(from_stream(news(), events)) }
    });
    let mut healthy = open(&endpoint, "/?transport=sse").await;
    for target in ["/panic?transport=sse", "/panic?transport=chunked"] {
        let mut body = open(&endpoint, target).await;
        let reader = tokio::spawn(async move { rest(&mut body).await.0 });
        assert!(reader.await.unwrap_err().is_panic());
        assert_eq!(endpoint.session_count(), 1);
    }
    let polled = get("/panic?transport=short-poll").to(&endpoint).await;
    assert_eq!(polled.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(text(polled).await, r#"{"error":"internal error"}"#);
    piece(&mut healthy).await.unwrap().unwrap();
    assert!(piece(&mut healthy).await.unwrap().unwrap().contains("data: one"));
    assert_eq!(endpoint.session_count(), 1);
}

fn poll_fn_stream(
    poll: impl FnMut(&mut Context<'_>) -> Poll<Option<Event>> + Send + 'static,
) -> impl Stream<Item = Event> + Send + 'static {
    struct PollFn<F>(F);

    impl<F: FnMut(&mut Context<'_>) -> Poll<Option<Event>> + Unpin> Stream for PollFn<F> {
        type Item = Event;

        fn poll_next(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
            (self.0)(cx)
        }
    }

    PollFn(Box::new(poll))
}

#[tokio::test(start_paused = true)]
async fn busy_sse_request_gets_a_retry_block() {
    let app = App::new();
    let endpoint = app.endpoint();
    for (headers, id) in [(None, ""), (Some("a.b17"), "id: a.b17\n"), (Some("nonsense"), "")] {
        let mut request = get("/busy?transport=sse");
        if let Some(id) = headers {
            request = request.header("last-event-id", id);
        }
        let response = request.to(&endpoint).await;
        assert_eq!((response.status(), header(&response, "content-type")), (StatusCode::OK, "text/event-stream"));
        let (pieces, error, after) = rest(&mut response.into_body()).await;
        let block = format!("event: tidings.retry\nretry: 2500\ndata: {{\"retry_ms\":2500}}\n{id}\n");
        assert_eq!(pieces, [(block, 0)]);
        assert_eq!(error, Some(BodyError::Ended));
        assert!((100..120).contains(&after), "{after} ms");
    }
    assert_eq!(endpoint.session_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn sent_bytes_are_counted() {
    let app = App::new();
    let endpoint = app.endpoint();
    let poll = text(get("/events").to(&endpoint).await).await.len() as u64;
    assert_eq!(endpoint.stats().bytes, poll);
    let mut body = open(&endpoint, "/?transport=sse").await;
    let mut sent = 0;
    for number in 0..10 {
        sent += piece(&mut body).await.unwrap().unwrap().len() as u64;
        app.publish(&number.to_string());
    }
    drop(body);
    assert_eq!(endpoint.stats().bytes, poll + sent);
}

#[tokio::test]
async fn body_is_send_and_sync() {
    fn check<T: Send + Sync + Unpin + 'static>(_: &T) {}
    let body = open(&App::new().endpoint(), "/?transport=sse").await;
    check(&body);
}
