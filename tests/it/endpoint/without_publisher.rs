//! An endpoint without a publisher, which serves requests by `respond` only.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use tidings::{Endpoint, LocalHub, Start, Subscribe, SubscribeRequest, Topic};

use crate::support::http::{To, get, header, piece, text};

#[tokio::test(start_paused = true)]
async fn endpoint_without_a_publisher_answers_by_respond_on_each_transport() {
    let (endpoint, hub) = (Endpoint::new(()), LocalHub::new());
    let first = hub.publish_now("news", "one").unwrap().cursor().unwrap();
    hub.publish_now("news", "two").unwrap();
    for (query, kind) in [
        ("transport=sse", "text/event-stream"),
        ("transport=chunked", "application/x-ndjson"),
        ("wait=5", "application/json"),
        ("transport=short-poll", "application/json"),
    ] {
        let (head, body) =
            get(&format!("/?{query}&cursor={first}")).body(Full::<Bytes>::default()).unwrap().into_parts();
        let asked = SubscribeRequest::read(&head).unwrap();
        assert_eq!(asked.start(), Start::After(first));
        let subscription = hub.subscribe(asked.subscribe_to(["news"])).unwrap();
        let response = endpoint.respond(http::Request::from_parts(head, body), subscription).await;
        assert_eq!((response.status(), header(&response, "content-type")), (StatusCode::OK, kind), "{query}");
        let mut body = response.into_body();
        let mut read = String::new();
        while !read.contains("two") {
            read += &piece(&mut body).await.unwrap().unwrap();
        }
        assert!(!read.contains("one"), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn request_without_a_publisher_is_refused_and_its_refusal_names_respond() {
    let reported: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = reported.clone();
    let endpoint = Endpoint::builder(()).on_refusal(move |it| log.lock().unwrap().push(it.to_string())).build();
    for target in ["/", "/?transport=sse", "/?wait=5"] {
        let response = get(target).to(&endpoint).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!text(response).await.contains("respond"), "the reason is not the client's");
        assert!(reported.lock().unwrap().pop().unwrap().contains("`Endpoint::respond`"));
    }
}

#[tokio::test(start_paused = true)]
async fn new_client_of_respond_gets_each_topic_from_its_own_start() {
    let (endpoint, hub) = (Endpoint::new(()), LocalHub::new());
    for name in ["chat", "presence"] {
        hub.publish_now(Topic::new(name).unwrap(), name).unwrap();
    }
    let room = || Subscribe::topics(["chat", "presence"]).start_of("chat", Start::Last(10));
    let request = get("/?transport=sse").body(Full::<Bytes>::default()).unwrap();
    let mut body = endpoint.respond(request, hub.subscribe(room()).unwrap()).await.into_body();
    let hello = piece(&mut body).await.unwrap().unwrap();
    let cursor = hello.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    assert!(piece(&mut body).await.unwrap().unwrap().contains("data: chat"));
    // The client loses its connection before its first event, and resumes both topics at the hello's cursor.
    let request = get(&format!("/?transport=sse&cursor={cursor}")).body(Full::<Bytes>::default()).unwrap();
    let resumed = room().start(Start::After(cursor.parse().unwrap()));
    let mut body = endpoint.respond(request, hub.subscribe(resumed).unwrap()).await.into_body();
    piece(&mut body).await.unwrap().unwrap();
    assert!(piece(&mut body).await.unwrap().unwrap().contains("data: chat"));
}
