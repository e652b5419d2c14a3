//! Changes of topics that a client of `tidings.v1` asks for.

use std::time::Duration;

use serde_json::json;
use tidings::{SessionId, Start, Topic, Transport};

use super::app::{Call, LiveApp, change, confirmed, data, objects};
use crate::support::http::{TestClient, pass, settle};

#[tokio::test(start_paused = true)]
async fn change_is_confirmed_with_the_cursor_and_replaces_the_whole_set() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a&topic=both").await;
    app.publish("a", "a1");
    app.publish("b", "b1");
    let before = app.publish("both", "both1");
    settle().await;
    change(&mut client, &["both", "b"]).await;
    app.publish("a", "a2");
    app.publish("b", "b2");
    app.publish("both", "both2");
    settle().await;
    let objects = objects(&client);
    assert_eq!(data(&objects), ["a1", "both1", "b2", "both2"]);
    assert_eq!(objects[2], confirmed(&["both", "b"], &before));
    let [_, call] = &app.calls()[..] else { panic!("{:?}", app.calls()) };
    let start = Start::After(before.parse().unwrap());
    assert_eq!(*call, Call { topics: vec!["both".into(), "b".into()], start, session: Some(1) });
}

#[tokio::test(start_paused = true)]
async fn session_has_its_new_topics_after_the_change() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    change(&mut client, &["b"]).await;
    let info = endpoint.session(SessionId::from(1)).unwrap();
    assert_eq!(info.session.topics().iter().map(|topic| topic.as_str()).collect::<Vec<_>>(), ["b"]);
    let sessions_on = |topic: &str| endpoint.sessions_on(&Topic::new(topic).unwrap()).len();
    assert_eq!((sessions_on("a"), sessions_on("b")), (0, 1));
    let newest = app.publish("b", "b1");
    settle().await;
    let info = endpoint.session(SessionId::from(1)).unwrap();
    assert_eq!((info.cursor.unwrap().to_string(), info.lag), (newest, Some(0)));
    assert_eq!(app.hub().stats().subscriptions, 1, "the old subscription is gone");
}

#[tokio::test(start_paused = true)]
async fn refused_change_leaves_the_topics_and_the_connection() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    let refusals = [
        (vec!["forbidden", "a"], json!({ "code": "forbidden", "message": "forbidden" })),
        (vec!["busy"], json!({ "code": "busy", "message": "busy, retry after 1500 ms", "retry_ms": 1_500 })),
        (vec!["panic"], json!({ "code": "internal", "message": "internal error" })),
    ];
    for (at, (topics, mut expected)) in refusals.into_iter().enumerate() {
        change(&mut client, &topics).await;
        expected["tidings"] = "error".into();
        expected["topics"] = topics.into();
        assert_eq!(objects(&client)[2 * at], expected);
        app.publish("a", "still here");
        settle().await;
        assert_eq!(objects(&client)[2 * at + 1]["data"], "still here");
    }
    assert_eq!((client.end(), endpoint.stats().refused_publisher), (None, 3));
}

#[tokio::test(start_paused = true)]
async fn malformed_change_gets_an_error_object() {
    let app = LiveApp::new();
    let endpoint = app.builder().max_message_rate(1_000).build();
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    let many = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    let not_names = "`topics` must be an array of topic names";
    let malformed = [
        (json!({ "tidings": "topics" }), not_names),
        (json!({ "tidings": "topics", "topics": "a" }), not_names),
        (json!({ "tidings": "topics", "topics": [1] }), not_names),
        (json!({ "tidings": "topics", "topics": { "a": 1 } }), not_names),
        (json!({ "tidings": "topics", "topics": [] }), "`topics` is empty: name at least one topic"),
        (
            json!({ "tidings": "topics", "topics": ["a/*"] }),
            "topic segment is a wildcard: `*` and `**` are only allowed in patterns",
        ),
        (json!({ "tidings": "topics", "topics": [""] }), "topic name is empty"),
        (json!({ "tidings": "topics", "topics": many(65) }), "too many topics: at most 64 are allowed"),
    ];
    let count = malformed.len();
    for (object, message) in malformed {
        client.send(1, object.to_string().as_bytes()).await;
        let last = objects(&client).pop().unwrap();
        assert_eq!(
            (&last["tidings"], &last["code"], &last["topics"]),
            (&json!("error"), &json!("invalid"), &json!([]))
        );
        if !message.starts_with("topic segment") {
            assert_eq!(last["message"], message, "{object}");
        }
    }
    assert_eq!((app.calls().len(), app.messages().len(), client.end()), (1, 0, None));
    assert_eq!(endpoint.stats().refused_request, count as u64);
    client.send(1, json!({ "tidings": "topics", "topics": many(64) }).to_string().as_bytes()).await;
    assert_eq!(objects(&client).pop().unwrap()["topics"].as_array().unwrap().len(), 64);
}

#[tokio::test(start_paused = true)]
async fn other_messages_go_to_the_publisher() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    let others = [
        r#"{"tidings":"hello"}"#,
        r#"{"tidings":["topics"]}"#,
        r#"{"a":{"tidings":"topics","topics":["b"]}}"#,
        r#"[{"tidings":"topics","topics":["b"]}]"#,
        r#"{"tidings":"topics","topics":["b"]"#,
        r#""tidings""#,
        "tidings",
        "",
    ];
    for other in others {
        client.send(1, other.as_bytes()).await;
    }
    client.send(2, br#"{"tidings":"topics","topics":["b"]}"#).await;
    assert_eq!(app.messages().len(), others.len() + 1);
    assert_eq!((app.calls().len(), client.end()), (1, None));
    // Raw frames have no such message.
    let mut raw = TestClient::open(&endpoint, Transport::WebSocket, "/?topic=a").await;
    change(&mut raw, &["b"]).await;
    assert_eq!((app.messages().len(), app.calls().len()), (others.len() + 2, 2));
}

#[tokio::test(start_paused = true)]
async fn newest_change_waits_for_the_one_under_way() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    for topics in [["wait"], ["b"], ["c"], ["d"]] {
        change(&mut client, &topics).await;
    }
    app.publish("a", "a1");
    settle().await;
    assert_eq!(data(&objects(&client)), ["a1"], "the old subscriber delivers meanwhile");
    assert_eq!((app.running(), app.calls().len()), (1, 2));
    app.release(1).await;
    let cursor = app.hub().cursor().to_string();
    assert_eq!(objects(&client)[1..], [confirmed(&["wait"], &cursor), confirmed(&["d"], &cursor)]);
    assert_eq!(app.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn eleventh_change_of_a_second_is_busy() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    for _ in 0..11 {
        change(&mut client, &["b"]).await;
    }
    let last = objects(&client).pop().unwrap();
    let expected = json!({ "tidings": "error", "code": "busy", "message": "busy, retry after 100 ms", "retry_ms": 100,
        "topics": ["b"] });
    assert_eq!((last, app.calls().len(), client.end()), (expected, 11, None));
    pass(Duration::from_millis(100)).await;
    change(&mut client, &["c"]).await;
    assert_eq!(objects(&client).pop().unwrap()["topics"], json!(["c"]));
    assert_eq!(endpoint.stats().refused_busy, 1);
}

#[tokio::test(start_paused = true)]
async fn change_above_the_limit_of_concurrent_calls_is_busy() {
    let app = LiveApp::new();
    let retry = Duration::from_secs(2);
    let endpoint = app.builder().max_concurrent_calls(8).max_concurrent_calls_per_key(1).retry(retry..=retry).build();
    let mut first = TestClient::open_objects(&endpoint, "/?topic=a&key=k").await;
    let mut second = TestClient::open_objects(&endpoint, "/?topic=a&key=k").await;
    let mut other = TestClient::open_objects(&endpoint, "/?topic=a&key=other").await;
    change(&mut first, &["wait"]).await;
    for client in [&mut second, &mut other] {
        change(client, &["b"]).await;
    }
    let refused = &objects(&second)[0];
    assert_eq!((&refused["code"], &refused["retry_ms"]), (&json!("busy"), &json!(2_000)));
    assert_eq!(objects(&other)[0]["tidings"], "topics");
    app.release(1).await;
    change(&mut second, &["b"]).await;
    assert_eq!(objects(&second)[1]["tidings"], "topics");
}

#[tokio::test(start_paused = true)]
async fn change_without_an_answer_is_busy_after_subscribe_timeout() {
    let app = LiveApp::new();
    let endpoint = app.builder().subscribe_timeout(Duration::from_secs(3)).build();
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    change(&mut client, &["never"]).await;
    pass(Duration::from_millis(2_900)).await;
    app.publish("a", "a1");
    settle().await;
    assert_eq!((data(&objects(&client)), app.running()), (vec!["a1"], 1));
    pass(Duration::from_millis(200)).await;
    let objects = objects(&client);
    assert_eq!((&objects[1]["code"], &objects[1]["topics"]), (&json!("busy"), &json!(["never"])));
    assert_eq!((app.running(), objects.len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn source_without_cursors_refuses_a_change() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    for (first, next, calls) in [("cursorless", "a", 1), ("a", "cursorless", 2)] {
        let before = app.calls().len();
        let mut client = TestClient::open_objects(&endpoint, &format!("/?topic={first}")).await;
        change(&mut client, &[next]).await;
        let expected = json!({ "tidings": "error", "code": "unsupported", "topics": [next],
            "message": "topics of this source cannot be changed: reconnect with the other topics" });
        assert_eq!(objects(&client), [expected]);
        assert_eq!((client.end(), app.calls().len() - before), (None, calls));
    }
}

/// The publisher does not use the client's cursor, so that its subscriber is ahead of the client.
#[tokio::test(start_paused = true)]
async fn subscriber_that_starts_ahead_loses_no_event_of_a_common_topic() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let mut client = TestClient::open_objects(&endpoint, "/?topic=both").await;
    app.publish("both", "1");
    let object = json!({ "tidings": "topics", "topics": ["both", "now"] });
    // The message is read before the event is.
    client.send(1, object.to_string().as_bytes()).await;
    app.publish("both", "2");
    app.publish("now", "3");
    settle().await;
    assert_eq!(data(&objects(&client)), ["1", "2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn lifetime_of_a_change_is_that_of_the_session() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a&lifetime=10000&renew=no").await;
    pass(Duration::from_secs(8)).await;
    change(&mut client, &["b"]).await;
    pass(Duration::from_secs(8)).await;
    assert_eq!(client.end(), None);
    pass(Duration::from_secs(3)).await;
    assert_eq!(client.finish().await, "1008 revoked");
}
