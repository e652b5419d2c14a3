//! Row 5: authorization comes before anything else, for each request, and a cursor grants nothing.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;
use tidings::subscriber::BoxSubscriber;
use tidings::{Endpoint, LocalHub, Publisher, Rejection, SubscribeRequest, Topic};

use super::site::{Answer, Site};
use crate::support::SseReader;
use crate::support::http::{App, RawClient, To, get, piece, runtime, serve_http1, text, upgrade_request};

const TOPICS: [&str; 4] = ["a", "a/b", "b", "c"];

/// Topics that each user may read.
type Acl = Vec<Vec<bool>>;

/// Returns an endpoint that gives each user the topics of the request that it may read.
fn guarded(hub: &LocalHub, acl: &Acl) -> Endpoint {
    let (hub, acl) = (hub.clone(), Arc::new(acl.clone()));
    Endpoint::new(move |request: SubscribeRequest| {
        let user: Option<usize> = request.header("user").and_then(|user| user.parse().ok());
        let allowed = user.and_then(|user| acl.get(user)).ok_or(Rejection::Unauthorized);
        let topics = allowed.map(|allowed| {
            let named = |topic: &&Topic| TOPICS.iter().zip(allowed).any(|(name, may)| *may && *name == topic.as_str());
            request.topics().iter().filter(named).cloned().collect::<Vec<_>>()
        });
        let subscribed = topics.and_then(|topics| match topics.is_empty() {
            true => Err(Rejection::NotFound),
            false => Ok(hub.subscribe(request.subscribe_to(&topics))?),
        });
        async { subscribed }
    })
}

proptest! {
    #![proptest_config(crate::support::cases(64))]

    /// For any permissions, cursor and transport: clients get all events that are allowed and after the cursor, and no
    /// others.
    #[test]
    fn row_05_exactly_the_allowed_events_are_delivered(
        acl in prop::collection::vec(prop::collection::vec(any::<bool>(), TOPICS.len()), 3),
        published in prop::collection::vec(0..TOPICS.len(), 1..24),
        user in 0..3_usize,
        at in 0..30_usize,
        asked in prop::sample::subsequence(TOPICS.to_vec(), 1..=TOPICS.len()),
    ) {
        let hub = LocalHub::builder().build();
        let cursors: Vec<_> = published.iter().enumerate().map(|(number, topic)| {
            let event = tidings::Event::text(number.to_string());
            hub.publish_now(Topic::new(TOPICS[*topic]).unwrap(), event).unwrap().cursor().unwrap()
        }).collect();
        // A cursor of any event: one that this user may read, or one that it may not.
        let cursor = cursors[at % cursors.len()];
        let allowed: Vec<_> = published.iter().enumerate().filter(|(number, topic)| {
            acl[user][**topic] && asked.contains(&TOPICS[**topic]) && *number > at % cursors.len()
        }).map(|(number, topic)| (TOPICS[*topic].to_owned(), number.to_string())).collect();
        let may = TOPICS.iter().zip(&acl[user]).any(|(topic, may)| *may && asked.contains(topic));
        let topics: String = asked.iter().map(|topic| format!("&topic={topic}")).collect();
        let endpoint = guarded(&hub, &acl);
        runtime().block_on(async {
            for transport in ["short-poll", "long-poll", "chunked", "sse"] {
                let target = format!("/?transport={transport}&format=object&cursor={cursor}{topics}&wait=1");
                let response = get(&target).header("user", user.to_string()).to(&endpoint).await;
                if !may {
                    assert_eq!(response.status(), 404);
                    continue;
                }
                assert_eq!(response.status(), 200);
                let mut seen = Vec::new();
                let objects: Vec<Value> = match transport {
                    "short-poll" | "long-poll" => {
                        let reply: Value = serde_json::from_str(&text(response).await).unwrap();
                        reply["events"].as_array().unwrap().clone()
                    }
                    _ => {
                        let (mut body, mut wire) = (response.into_body(), String::new());
                        while let Ok(Some(Ok(more))) = tokio::time::timeout(std::time::Duration::from_secs(1), piece(&mut body)).await {
                            wire += &more;
                        }
                        objects(transport, &wire)
                    }
                };
                for object in objects {
                    assert!(object.get("gap").is_none(), "{object}");
                    seen.push((object["topic"].as_str().unwrap().to_owned(), object["data"].as_str().unwrap().to_owned()));
                }
                assert_eq!(seen, allowed, "{transport}");
            }
        });
    }
}

/// Returns the event objects of a stream.
fn objects(transport: &str, wire: &str) -> Vec<Value> {
    let lines: Vec<String> = if transport == "sse" {
        let mut reader = SseReader::default();
        reader.read(wire.as_bytes());
        reader.events.into_iter().map(|event| event.data).collect()
    } else {
        wire.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|it: &Value| it.get("tidings").is_none())
        .collect()
}

#[tokio::test]
async fn row_05_stolen_cursor_grants_nothing_on_a_websocket() {
    for (target, user, expected) in [
        ("topic=a&topic=b", 0, &["mine too"][..]),
        ("topic=a&topic=b", 1, &["yours"]),
        ("topic=b&topic=c", 1, &["yours"]),
    ] {
        let hub = LocalHub::builder().build();
        let acl = vec![vec![true, true, false, false], vec![false, false, true, false]];
        let address = serve_http1(&guarded(&hub, &acl)).await;
        let publish =
            |topic: &str, text: &str| hub.publish_now(Topic::new(topic).unwrap(), text).unwrap().cursor().unwrap();
        let stolen = publish("a", "mine");
        publish("a", "mine too");
        publish("b", "yours");
        let mut client = RawClient::connect(address).await;
        let protocol = "Sec-WebSocket-Protocol: tidings.v1\r\n";
        client
            .send(upgrade_request(&format!("/?cursor={stolen}&{target}"), &format!("User: {user}\r\n{protocol}")))
            .await;
        assert!(client.head().await.starts_with("http/1.1 101 "));
        client.frame().await;
        for text in expected {
            let object: Value = serde_json::from_slice(&client.frame().await.1).unwrap();
            assert_eq!(object["data"], *text, "{target} of {user}");
        }
        // The next frame is the first allowed event that is published now.
        publish(if user == 0 { "b" } else { "a" }, "not allowed");
        publish(if user == 0 { "a/b" } else { "c" }, "not requested");
        publish(if user == 0 { "a" } else { "b" }, "the end");
        let object: Value = serde_json::from_slice(&client.frame().await.1).unwrap();
        assert_eq!(object["data"], "the end");
    }
}

#[tokio::test]
async fn row_05_absent_and_forbidden_topics_get_equal_responses_with_any_cursor() {
    let hub = LocalHub::builder().build();
    let there = hub.publish_now("c", "secret").unwrap().cursor().unwrap();
    let endpoint = guarded(&hub, &vec![vec![true, true, true, false]]);
    let site = Site::new(App::new(), endpoint).await;
    let before = hub.stats();
    let mut answers: Vec<(String, Answer)> = Vec::new();
    for topic in ["c", "nowhere", "c/d"] {
        for cursor in
            [String::new(), there.to_string(), "0.0".into(), format!("{there}9"), "%00".into(), "x".repeat(9_000)]
        {
            let query = format!("topic={topic}&cursor={cursor}");
            let headers = [("host", "example.com"), ("user", "0")];
            for transport in ["short-poll", "long-poll&wait=9", "chunked", "sse"] {
                let target = format!("/?{query}&transport={transport}");
                answers.push((target.clone(), site.send("GET", &target, &headers).await));
            }
            answers.push((query.clone(), site.send_upgrade(&format!("/?{query}"), &headers).await));
            answers.push((query.clone(), site.send_connect(&format!("/?{query}"), &headers).await.unwrap()));
        }
    }
    for (asked, answer) in &answers {
        assert_eq!(answer, &answers[0].1, "{asked}");
    }
    assert_eq!((answers[0].1.status, &*answers[0].1.body), (404, r#"{"error":"not found"}"#));
    assert_eq!(hub.stats(), before, "the hub was not called");
}

#[tokio::test(start_paused = true)]
async fn row_05_every_subscribe_poll_and_message_is_authorised() {
    let app = App::new();
    let endpoint = app.endpoint();
    let cursor = app.publish("one");
    for (number, transport) in
        ["short-poll", "short-poll", "long-poll", "long-poll", "chunked", "sse"].iter().enumerate()
    {
        let target = format!("/?transport={transport}&cursor=0.0");
        drop(get(&target).header("last-event-id", &cursor).to(&endpoint).await);
        if *transport == "long-poll" {
            drop(get(&target).to(&endpoint).await);
        }
        assert!(app.subscribes() > number, "{transport}");
    }
    assert_eq!(app.subscribes(), 8);
    // A permission that is withdrawn between two polls of a client is gone with the second.
    let (one, two) = (get(&format!("/events?cursor={cursor}")), get(&format!("/forbidden?cursor={cursor}")));
    assert_eq!((one.to(&endpoint).await.status().as_u16(), two.to(&endpoint).await.status().as_u16()), (200, 403));
    let message = crate::support::http::request("POST", &format!("/forbidden?cursor={cursor}"));
    assert_eq!(message.with("hi", &endpoint).await.status(), 403);
}

/// The publisher runs before the cursor is used: no subscriber is made or polled for a request that the publisher
/// rejects.
#[tokio::test]
async fn row_05_cursor_is_not_used_before_the_request_is_accepted() {
    struct Refuses;

    impl Publisher for Refuses {
        type Subscriber = BoxSubscriber;

        async fn subscribe(&self, request: SubscribeRequest) -> Result<tidings::Accepted<BoxSubscriber>, Rejection> {
            // Here the cursor is a plain value. Only a hub can use it.
            assert!(matches!(request.start(), tidings::Start::After(_)));
            Err(Rejection::Forbidden)
        }
    }

    let response = get("/?cursor=7.a7").to(&Endpoint::new(Refuses)).await;
    assert_eq!((response.status().as_u16(), text(response).await), (403, r#"{"error":"forbidden"}"#.to_owned()));
}
