//! Changes at each boundary: between all polls of a body, on a stalled client, during a snapshot, and when the session ends.

use std::time::Duration;

use http_body::Body as _;
use serde_json::json;
use tidings::{Body, Endpoint, SessionEnd, SessionId, Start, Subscribe, Transport};

use super::app::{LiveApp, change, confirmed, data, objects};
use crate::support::Task;
use crate::support::http::{TestClient, To, get, pass, settle};

const FIRST: u64 = 1;

/// Returns a subscriber of these topics at the present.
fn subscriber(app: &LiveApp, topics: &[&str]) -> impl tidings::Subscriber + use<> {
    app.hub().subscribe(Subscribe::topics(topics.iter().copied())).unwrap()
}

fn resubscribe(endpoint: &Endpoint, app: &LiveApp, topics: &[&str]) {
    endpoint.resubscribe(SessionId::from(FIRST), subscriber(app, topics)).unwrap();
}

/// Polls a body once. Returns its next piece, if one is ready.
fn poll(task: &Task, body: &mut Body) -> Option<String> {
    match task.with(|cx| std::pin::Pin::new(&mut *body).poll_frame(cx)) {
        std::task::Poll::Ready(Some(Ok(frame))) => {
            Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
        }
        std::task::Poll::Ready(other) => panic!("{other:?}"),
        std::task::Poll::Pending => None,
    }
}

/// Returns the letters of the events in lines of NDJSON.
fn events(lines: &str) -> String {
    let objects = lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    objects.filter_map(|object| object["data"].as_str().map(str::to_owned)).collect()
}

/// Events of `both` have upper-case letters, of `old` and `new` digits.
#[tokio::test(start_paused = true)]
async fn stream_swaps_between_any_two_polls_without_a_loss() {
    for at in 0..14 {
        for burst in [1, 2, 3] {
            let app = LiveApp::new();
            let endpoint = app.builder().max_batch_bytes(1).build();
            let mut body = get("/?transport=chunked&topic=both&topic=old").to(&endpoint).await.into_body();
            let (task, mut text, mut letters) = (Task::new(), String::new(), b'A'..=b'Z');
            for step in 0..14 {
                if step == at {
                    resubscribe(&endpoint, &app, &["new", "both"]);
                }
                if step % (burst + 1) == 0 && step < 10 {
                    for _ in 0..burst {
                        app.publish("old", "1");
                        app.publish("both", &(letters.next().unwrap() as char).to_string());
                        app.publish("new", "2");
                    }
                }
                text.extend(poll(&task, &mut body));
            }
            while let Some(piece) = poll(&task, &mut body) {
                text += &piece;
            }
            let (events, common) = (events(&text), |char: &char| char.is_ascii_uppercase());
            let published: String = (b'A'..*letters.start()).map(char::from).collect();
            assert_eq!(events.chars().filter(common).collect::<String>(), published, "{at} {burst}: {events}");
            // First one set, then the other.
            let digits: String = events.chars().filter(|char| !common(char)).collect();
            let old = digits.trim_end_matches('2');
            assert!(old.chars().all(|digit| digit == '1'), "{at} {burst}: {digits}");
            assert_eq!(app.hub().stats().subscriptions, 2, "one for each topic");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn stream_that_is_not_polled_is_woken_for_the_swap() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let mut body = get("/?transport=sse&topic=a").to(&endpoint).await.into_body();
    let task = Task::new();
    assert!(poll(&task, &mut body).is_some(), "the greeting");
    // The adapter has registered its task without a poll.
    let _ = task.wakes();
    for round in 0..4 {
        resubscribe(&endpoint, &app, &[["b", "a"][round % 2]]);
        assert_eq!(task.wakes(), 1, "{round}");
        assert_eq!(poll(&task, &mut body), None);
        app.publish(["b", "a"][round % 2], &format!("event {round}"));
        assert!(task.wakes() > 0, "the new subscriber has the waker: {round}");
        assert!(poll(&task, &mut body).unwrap().contains(&format!("event {round}")));
        assert_eq!(poll(&task, &mut body), None);
    }
    assert!(endpoint.revoke(SessionId::from(FIRST)));
    assert_eq!(task.wakes(), 1, "a revocation wakes it, too");
}

#[tokio::test(start_paused = true)]
async fn change_before_the_first_poll_is_made_at_it() {
    for transport in ["sse", "chunked"] {
        let app = LiveApp::new();
        let endpoint = app.builder().build();
        let response = get(&format!("/?transport={transport}&topic=a")).to(&endpoint).await;
        resubscribe(&endpoint, &app, &["a"]);
        resubscribe(&endpoint, &app, &["b"]);
        app.publish("a", "to the old set");
        app.publish("b", "to the new set");
        let (task, mut body, mut text) = (Task::new(), response.into_body(), String::new());
        while let Some(piece) = poll(&task, &mut body) {
            text += &piece;
        }
        assert!(text.contains("to the new set") && !text.contains("to the old set"), "{text}");
        assert_eq!(app.hub().stats().subscriptions, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn stalled_websocket_changes_when_its_client_reads_on() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let mut client = TestClient::open_websocket(&endpoint, "/?transport=websocket&topic=a", 256).await;
    let text = "x".repeat(100);
    // The client's task does not run meanwhile, so the pipe is full.
    for _ in 0..20 {
        app.publish("a", &text);
    }
    tokio::task::yield_now().await;
    resubscribe(&endpoint, &app, &["a", "b"]);
    for _ in 0..20 {
        app.publish("a", &text);
        app.publish("b", "y");
    }
    pass(Duration::from_millis(10)).await;
    let received = client.text();
    assert_eq!(received.matches('x').count(), 40 * 100);
    let after = received.matches('y').count();
    assert!(after <= 20, "{after}");
    assert_eq!(client.finish().await, "1000 ");
}

#[tokio::test(start_paused = true)]
async fn change_waits_for_a_snapshot_that_is_under_way() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    app.publish("a", "old");
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a&cursor=7.a1&renew=wait").await;
    change(&mut client, &["b"]).await;
    assert_eq!((app.running(), app.calls().len()), (1, 1), "the client has no position yet");
    app.release(1).await;
    let received = objects(&client);
    let cursor = app.hub().cursor().to_string();
    assert_eq!((&received[0]["gap"]["snapshot"], &received[1]["data"]), (&json!(true), &json!("state")));
    assert_eq!(received[2..], [confirmed(&["b"], &cursor)]);
    assert_eq!(app.calls()[1].start, Start::After(app.hub().cursor()));
}

#[tokio::test(start_paused = true)]
async fn subscriber_of_the_application_waits_for_a_snapshot_that_is_under_way() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    app.publish("a", "old");
    let client = TestClient::open(&endpoint, Transport::Chunked, "/?topic=a&cursor=7.a1&renew=wait").await;
    resubscribe(&endpoint, &app, &["b"]);
    settle().await;
    app.release(1).await;
    app.publish("b", "event");
    settle().await;
    let text = client.text();
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
    assert!(at("\"gap\"") < at("state") && at("state") < at("event"));
}

#[tokio::test(start_paused = true)]
async fn session_that_ends_drops_its_change() {
    for topics in [["wait"], ["never"]] {
        for end in ["revoke", "disconnect", "leave", "drain", "expire", "close"] {
            let app = LiveApp::new();
            let endpoint = app.builder().build();
            let mut client = TestClient::open_objects(&endpoint, "/?topic=a&lifetime=5000&renew=no").await;
            change(&mut client, &topics).await;
            change(&mut client, &["b"]).await;
            assert_eq!(app.running(), 1, "{end}");
            match end {
                "revoke" => assert!(endpoint.revoke(SessionId::from(FIRST))),
                "disconnect" => assert!(endpoint.disconnect(SessionId::from(FIRST))),
                "leave" => {
                    client.disconnect().await;
                    assert_eq!((app.running(), endpoint.session_count()), (0, 0));
                    continue;
                }
                "drain" => {
                    tokio::spawn(endpoint.drain());
                    pass(Duration::from_millis(4_900)).await;
                }
                "expire" => pass(Duration::from_millis(5_010)).await,
                _ => client.send(8, &1000_u16.to_be_bytes()).await,
            }
            settle().await;
            if end != "drain" {
                assert_eq!(app.running(), 0, "{topics:?} {end}");
            }
            app.release(2).await;
            client.finish().await;
            pass(Duration::from_secs(10)).await;
            assert_eq!(app.calls().len(), 2, "the change that waits is not asked for: {end}");
            assert!(client.objects().iter().all(|object| object["tidings"] != "topics"), "{end}: {}", client.text());
            assert_eq!((app.running(), endpoint.session_count(), app.hub().stats().subscriptions), (0, 0, 0), "{end}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn session_dropped_at_any_poll_of_a_change_or_a_renewal_leaves_nothing() {
    for at in 0..16 {
        let app = LiveApp::new();
        let endpoint = app.builder().build();
        let target = "/?topic=a&lifetime=100000&renew=slow";
        let mut changing = TestClient::open_objects(&endpoint, target).await;
        let renewing = TestClient::open(&endpoint, Transport::Sse, target).await;
        pass(Duration::from_millis(84_000)).await;
        // Both are due within the next ticks.
        changing.send_at_once(1, json!({ "tidings": "topics", "topics": ["slow"] }).to_string().as_bytes()).await;
        for step in 0..at {
            match step % 3 {
                0 => pass(Duration::from_millis(1_500)).await,
                _ => tokio::task::yield_now().await,
            }
        }
        changing.disconnect().await;
        renewing.disconnect().await;
        settle().await;
        assert_eq!((app.running(), endpoint.session_count(), app.hub().stats().subscriptions), (0, 0, 0), "{at}");
    }
}

/// The subscriber is ready, and waits for the client to read up to it.
#[tokio::test(start_paused = true)]
async fn revocation_before_the_swap_drops_both_subscribers() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let client = TestClient::open(&endpoint, Transport::Sse, "/?topic=a").await;
    resubscribe(&endpoint, &app, &["b"]);
    assert_eq!(app.hub().stats().subscriptions, 2);
    assert!(endpoint.revoke(SessionId::from(FIRST)));
    assert_eq!(app.hub().stats().subscriptions, 1, "the old one is dropped by the task of the body");
    app.publish("b", "too late");
    pass(Duration::from_secs(1)).await;
    assert!(!client.text().contains("too late"));
    assert_eq!((app.left(), app.hub().stats().subscriptions), (vec![SessionEnd::Revoked], 0));
}

#[tokio::test(start_paused = true)]
async fn session_whose_topics_have_ended_ends_in_spite_of_a_change() {
    let app = LiveApp::new();
    let endpoint = app.builder().build();
    let mut client = TestClient::open_objects(&endpoint, "/?topic=a").await;
    app.hub().finish("a", tidings::EndReason::Done).unwrap();
    resubscribe(&endpoint, &app, &["b"]);
    settle().await;
    let received = objects(&client);
    match client.finish().await.as_str() {
        // The end came first, and is final.
        "1000 finished" => assert_eq!(received.len(), 1),
        other => panic!("{other}: {received:?} {:?}", data(&received)),
    }
}
