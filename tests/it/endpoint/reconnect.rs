//! Clients that lose their connection before the first event, and resume.

use std::time::Duration;

use http::{StatusCode, Version};
use serde_json::{Value, json};
use tidings::subscriber::from_stream;
use tidings::{Endpoint, Event, LocalHub, Retention, SubscribeRequest, Topic};
use tokio::time::{Instant, timeout};

use crate::support::http::{App, RawClient, To, get, header, pass, piece, serve_http1, text, upgrade_request};
use crate::support::{SseEvent, SseReader};

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];
const RETRY: Duration = Duration::from_millis(1500);

/// State of an `EventSource` that is kept between connections.
#[derive(Default)]
struct Source {
    id: String,
    retries: Vec<u64>,
    events: Vec<SseEvent>,
}

impl Source {
    fn at(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    /// Connects, reads up to `pieces` pieces and disconnects. Returns the event id that this connection set.
    async fn connect(&mut self, endpoint: &Endpoint, query: &str, version: Version, pieces: usize) -> String {
        let request = get(&format!("/?transport=sse{query}")).version(version);
        let request = match &*self.id {
            "" => request,
            id => request.header("last-event-id", id),
        };
        let response = request.to(endpoint).await;
        assert_eq!(response.status(), StatusCode::OK);
        let (mut body, mut reader) = (response.into_body(), SseReader::default());
        for _ in 0..pieces {
            let Ok(Some(Ok(more))) = timeout(Duration::from_secs(1), piece(&mut body)).await else { break };
            reader.read(more.as_bytes());
            assert!(!reader.is_mid_block(), "a piece is whole blocks");
        }
        if !reader.last_event_id.is_empty() {
            self.id.clone_from(&reader.last_event_id);
        }
        self.retries.extend(reader.retries);
        self.events.extend(reader.events);
        reader.last_event_id
    }

    /// Reasons of gaps and texts of events as a page gets them, without the crate's own named events.
    fn seen(&self) -> Vec<String> {
        let seen = self.events.iter().filter_map(|event| match &*event.name {
            "tidings.gap" => Some(parse(&event.data)["gap"]["reason"].as_str().unwrap().to_owned()),
            name if name.starts_with("tidings.") => None,
            _ => Some(parse_data(&event.data)),
        });
        seen.collect()
    }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Returns the payload, which is in an event object if the object format was requested.
fn parse_data(data: &str) -> String {
    let object = serde_json::from_str::<Value>(data).ok();
    object.and_then(|object| Some(object["data"].as_str()?.to_owned())).unwrap_or_else(|| data.to_owned())
}

#[tokio::test(start_paused = true)]
async fn sse_client_cut_before_its_first_event_resumes_without_loss() {
    for (version, query) in VERSIONS.into_iter().flat_map(|version| {
        ["", "&heartbeat=visible", "&format=object", "&format=object&heartbeat=visible"].map(|query| (version, query))
    }) {
        let (app, mut source) = (App::new(), Source::default());
        let endpoint = app.endpoint();
        app.publish("before it came");
        source.connect(&endpoint, query, version, 1).await;
        assert_eq!(source.seen(), [""; 0], "{query} over {version:?}");
        app.publish("while it was away");
        source.connect(&endpoint, query, version, 9).await;
        assert_eq!(source.seen(), ["while it was away"], "{query} over {version:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn sse_hello_repeats_the_request_cursor_and_no_gap_is_lost() {
    let app = App::with_hub(LocalHub::builder().retain(Retention::count(2)).build());
    let endpoint = app.endpoint();
    let cursors: Vec<_> = ["1", "2", "3", "4"].map(|text| app.publish(text)).into();
    let epoch = cursors[0].split_once('.').unwrap().0;
    for (came, id, seen) in [
        (&*cursors[2], &*cursors[2], &["4"][..]),
        (&cursors[0], &cursors[0], &["evicted", "3", "4"]),
        ("1.a1", "1.a1", &["epoch", "3", "4"]),
        (&format!("{epoch}.b99"), &format!("{epoch}.b99"), &["invalid"]),
        // `0.a2`: some clients forget their id at a block without one, and would then get no gap.
        ("nonsense", "0.a2", &["epoch", "3", "4"]),
    ] {
        for (version, query) in VERSIONS.into_iter().flat_map(|version| ["", "&format=object"].map(|it| (version, it)))
        {
            let mut source = Source::at(came);
            assert_eq!(source.connect(&endpoint, query, version, 1).await, id, "{came}{query} over {version:?}");
            assert_eq!(source.seen(), [""; 0], "{came}{query} over {version:?}");
            source.connect(&endpoint, query, version, 9).await;
            assert_eq!(source.seen(), seen, "{came}{query} over {version:?}");
        }
    }
}

/// The hello of NDJSON and of `tidings.v1` repeats the cursor too: a client that takes its cursor from it keeps its
/// own.
#[tokio::test]
async fn hello_object_repeats_the_request_cursor() {
    let app = App::with_hub(LocalHub::builder().retain(Retention::count(2)).build());
    let endpoint = app.endpoint();
    let address = serve_http1(&endpoint).await;
    let cursors: Vec<_> = ["1", "2", "3", "4"].map(|text| app.publish(text)).into();
    let epoch = cursors[0].split_once('.').unwrap().0;
    let ahead = format!("{epoch}.b99");
    for (came, reported) in
        [(&*cursors[2], &*cursors[2]), (&cursors[0], &cursors[0]), ("1.a1", "1.a1"), (&ahead, &ahead), ("x", "0.a2")]
    {
        for version in VERSIONS {
            let request = get(&format!("/?transport=chunked&cursor={came}")).version(version);
            let first = piece(&mut request.to(&endpoint).await.into_body()).await.unwrap().unwrap();
            assert_eq!(parse(&first)["cursor"], reported, "{came} over {version:?}");
        }
        let mut socket = RawClient::connect(address).await;
        socket.send(upgrade_request(&format!("/?cursor={came}"), "Sec-WebSocket-Protocol: tidings.v1\r\n")).await;
        socket.head().await;
        let first = String::from_utf8(socket.frame().await.1).unwrap();
        assert_eq!(parse(&first)["cursor"], reported, "WebSocket {came}");
    }
}

#[tokio::test(start_paused = true)]
async fn drain_sends_retry_to_sse_client_without_events() {
    let app = App::new();
    for query in ["", "&format=object"] {
        let endpoint = app.builder().retry(RETRY..=RETRY).build();
        let mut body = get(&format!("/?transport=sse{query}")).to(&endpoint).await.into_body();
        let mut reader = SseReader::default();
        reader.read(piece(&mut body).await.unwrap().unwrap().as_bytes());
        let drain = tokio::spawn(endpoint.drain());
        while let Some(Ok(more)) = piece(&mut body).await {
            reader.read(more.as_bytes());
        }
        drop(body);
        drain.await.unwrap();
        assert_eq!(reader.retries, [1500; 2], "{query}: once in the hello, once in the last block");
    }
}

/// Polls. Returns the reply and the time until it came.
async fn poll(endpoint: &Endpoint, target: &str, prefer: &str) -> (Value, Duration) {
    let begin = Instant::now();
    let response = get(target).header("prefer", prefer).to(endpoint).await;
    assert_eq!((response.status(), header(&response, "tidings-retry-ms")), (StatusCode::OK, "0"));
    (parse(&text(response).await), begin.elapsed())
}

#[tokio::test(start_paused = true)]
async fn long_poll_without_a_cursor_gets_one_within_1_s() {
    let app = App::new();
    let endpoint = app.endpoint();
    for (target, prefer) in [
        ("/?wait=20", ""),
        ("/?transport=long-poll", ""),
        ("/", "wait=20"),
        ("/?cursor=&lastEventId=&wait=20", ""),
        ("/?wait=20&session=tab", ""),
    ] {
        app.publish("before it came");
        let (reply, took) = poll(&endpoint, target, prefer).await;
        assert_eq!(reply, json!({ "cursor": app.hub.cursor().to_string(), "events": [] }), "{target}");
        assert!((Duration::from_secs(1)..Duration::from_millis(1_020)).contains(&took), "{target} {prefer}: {took:?}");
        // The next poll is held. Its connection is cut, and the client polls again.
        let target = format!("/?wait=20&cursor={}", reply["cursor"].as_str().unwrap());
        let held = tokio::spawn(endpoint.handle(get(&target).body(String::new()).unwrap()));
        pass(Duration::from_secs(1)).await;
        held.abort();
        assert!(held.await.unwrap_err().is_cancelled());
        app.publish("while it was away");
        let (reply, took) = poll(&endpoint, &target, "").await;
        assert_eq!((&reply["events"][0]["data"], took), (&json!("while it was away"), Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn long_poll_without_a_cursor_observes_min_wait() {
    let app = App::new();
    let endpoint = app.builder().long_poll_min_wait(Duration::from_secs(2)).build();
    let asked = endpoint.clone();
    let held = tokio::spawn(async move { poll(&asked, "/?wait=20", "").await });
    pass(Duration::from_secs(1)).await;
    app.publish("meanwhile");
    let (reply, took) = held.await.unwrap();
    assert_eq!(reply["events"][0]["data"], "meanwhile");
    assert!((Duration::from_secs(2)..Duration::from_millis(2_210)).contains(&took), "{took:?}");
    let (reply, took) = poll(&endpoint, "/?wait=20", "").await;
    assert_eq!(reply["events"], json!([]));
    assert!((Duration::from_secs(2)..Duration::from_millis(2_210)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn long_poll_of_a_source_without_cursors_is_held() {
    struct Silence;
    impl futures_core::Stream for Silence {
        type Item = Event;
        fn poll_next(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<Event>> {
            std::task::Poll::Pending
        }
    }
    let endpoint = Endpoint::new(|_: SubscribeRequest| async { Ok(from_stream(Topic::new("news").unwrap(), Silence)) });
    let begin = Instant::now();
    let response = get("/?wait=5").to(&endpoint).await;
    // The source has not ended, so its other events would be lost.
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let took = begin.elapsed();
    assert!((Duration::from_millis(4_500)..Duration::from_millis(5_010)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn busy_reply_of_a_poll_repeats_the_request_cursor() {
    let app = App::new();
    let endpoint = app.endpoint();
    drop(endpoint.drain());
    let busy = r#"{"error":"server is busy: retry later"}"#;
    let kept = r#"{"error":"server is busy: retry later","cursor":"a.a7"}"#;
    for (query, headers, reported) in [
        ("", &[][..], busy),
        ("&cursor=a.a7", &[], kept),
        ("&lastEventId=a.a7", &[], kept),
        ("", &[("last-event-id", "a.a7")], kept),
        ("", &[("if-none-match", "\"a.a7-gzip\"")], kept),
        ("&cursor=a.a6", &[("last-event-id", "a.a7")], kept),
        ("&cursor=nonsense", &[], busy),
    ] {
        for transport in ["short-poll", "long-poll", "chunked"] {
            let request = get(&format!("/?transport={transport}{query}"));
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let response = request.to(&endpoint).await;
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(text(response).await, reported, "{transport}{query} {headers:?}");
        }
    }
}
