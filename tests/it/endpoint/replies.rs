//! Shared replies: a reply is assembled once for each position, and only requests with equal replies share it.

use http::StatusCode;
use proptest::prelude::*;
use tidings::{Cursor, Endpoint, LocalHub, Rejection, Start, SubscribeRequest, Topic};

use crate::support::http::{App, To, get, header, runtime, text};

const TOPICS: [&str; 3] = ["aa", "bb", "cc"];

fn endpoint(hub: &LocalHub) -> Endpoint {
    let hub = hub.clone();
    Endpoint::new(move |request: SubscribeRequest| {
        let hub = hub.clone();
        async move { Ok::<_, Rejection>(hub.subscribe(request.subscribe_to(request.topics()))?) }
    })
}

proptest! {
    /// All events and all topic names have one length, so that replies differ only in their content.
    #[test]
    fn shared_reply_equals_the_reply_of_a_new_endpoint(
        topics in prop::collection::vec(0..TOPICS.len(), 1..30),
        polls in prop::collection::vec((1..8_usize, 0..30_usize, any::<bool>()), 1..60),
        large in prop::bool::weighted(0.2),
    ) {
        let runtime = runtime();
        runtime.block_on(async {
            let hub = LocalHub::new();
            let shared = endpoint(&hub);
            let mut cursors: Vec<Cursor> = vec![hub.cursor()];
            for (number, &topic) in topics.iter().enumerate() {
                let payload = format!("{number:0>width$}", width = if large { 3_000 } else { 4 });
                cursors.push(hub.publish_now(Topic::new(TOPICS[topic]).unwrap(), payload).unwrap().cursor().unwrap());
            }
            for (follows, from, held) in polls {
                let named = TOPICS.iter().enumerate().filter(|(at, _)| follows & (1 << at) != 0);
                let named: String = named.map(|(_, topic)| format!("topic={topic}&")).collect();
                let target = format!("/?{named}cursor={}&wait={}", cursors[from % cursors.len()], u8::from(held));
                let (ours, alone) = (get(&target).to(&shared).await, get(&target).to(&endpoint(&hub)).await);
                assert_eq!(header(&ours, "etag"), header(&alone, "etag"));
                assert_eq!(ours.status(), StatusCode::OK);
                assert_eq!(text(ours).await, text(alone).await, "{target}");
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn query_is_parsed_as_a_form() {
    let read = |target: &str| {
        let (parts, ()) = get(target).body(()).unwrap().into_parts();
        SubscribeRequest::read(&parts).unwrap()
    };
    let request = read("/?topic=a+b&&topic=c%20d&=x&to%70ic=e&topic=%C3%A9=&cursor=7.a3&cursor=7.a4");
    let names: Vec<_> = request.topics().iter().map(Topic::as_str).collect();
    assert_eq!(names, ["a b", "c d", "e", "é="]);
    assert_eq!(request.start(), Start::After("7.a3".parse().unwrap()));
    assert_eq!(request.query("topic").as_deref(), Some("a b"));
}

#[tokio::test(start_paused = true)]
async fn reply_is_marked_more_after_a_further_publish() {
    let app = App::new();
    let (endpoint, cursor) = (app.builder().max_batch_bytes(1).build(), app.hub.cursor());
    let poll = || async { text(get(&format!("/?cursor={cursor}")).to(&endpoint).await).await };
    app.publish("one");
    let first = poll().await;
    assert!(first.contains("one") && !first.contains("more"), "{first}");
    app.publish("two");
    assert_eq!(poll().await, first.replace("]}", "],\"more\":true}"));
}
