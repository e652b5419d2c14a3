//! Random sequences of changes, by the client and by the application, against a model: an event is delivered exactly if its
//! topic was in the set that was in force at its place in the hub's order.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use tidings::{Cursor, SessionId, Subscribe};

use super::app::LiveApp;
use crate::support::http::{TestClient, pass, runtime};

const TOPICS: [&str; 6] = ["a", "b", "c", "now", "wait", "slow"];

#[derive(Debug, Clone)]
enum Step {
    Publish(usize, u8),
    /// The client asks for the topics of these bits.
    Change(u8),
    Resubscribe(u8),
    /// Calls that wait go on.
    Release,
    /// Tasks run this many times.
    Run(u8),
    /// This many milliseconds pass.
    Pass(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..TOPICS.len(), 1..20_u8).prop_map(|(topic, count)| Step::Publish(topic, count)),
        3 => (1..64_u8).prop_map(Step::Change),
        1 => (1..16_u8).prop_map(Step::Resubscribe),
        2 => Just(Step::Release),
        5 => (1..6_u8).prop_map(Step::Run),
        2 => (1..30_u8).prop_map(Step::Pass),
    ]
}

fn named(bits: u8) -> Vec<&'static str> {
    TOPICS.into_iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, topic)| topic).collect()
}

async fn run(steps: &[Step], throttle: u64) {
    let app = LiveApp::new();
    let endpoint = app.builder().max_message_rate(10_000).max_batch_bytes(200).build();
    let mut client = TestClient::open_objects(&endpoint, &format!("/?topic=a&topic=b&throttle={throttle}")).await;
    let begin = app.hub().cursor().sequence();
    let mut published = Vec::new();
    for step in steps {
        match *step {
            Step::Publish(topic, count) => {
                for _ in 0..count {
                    app.hub().publish_now(TOPICS[topic], "x").unwrap();
                    published.push(TOPICS[topic]);
                }
            }
            Step::Change(bits) => {
                let object = json!({ "tidings": "topics", "topics": named(bits) }).to_string();
                client.send_at_once(1, object.as_bytes()).await;
            }
            Step::Resubscribe(bits) => {
                let subscription = app.hub().subscribe(Subscribe::topics(named(bits))).unwrap();
                endpoint.resubscribe(SessionId::from(1), subscription).unwrap();
            }
            Step::Release => app.release(1).await,
            Step::Run(times) => {
                for _ in 0..times {
                    tokio::task::yield_now().await;
                }
            }
            Step::Pass(millis) => pass(Duration::from_millis(millis.into())).await,
        }
    }
    app.release(100).await;
    // Each change waits for at most one delivery, and at most three have not ended: one of the application, one that is under
    // way, and one that waits.
    pass(Duration::from_millis(10 + 5 * throttle)).await;
    assert_eq!(client.end(), None);
    // Sets with the sequence up to which the one before was in force.
    let (mut sets, mut received, mut last) = (vec![(begin, named(3))], Vec::new(), begin);
    for object in &client.objects()[1..] {
        if let Some(topics) = object["topics"].as_array().filter(|_| object["tidings"] == "topics") {
            let cursor: Cursor = object["cursor"].as_str().unwrap().parse().unwrap();
            assert!(cursor.sequence() >= last, "the cursor goes back: {object}");
            last = cursor.sequence();
            sets.push((
                last,
                topics.iter().map(|topic| *TOPICS.iter().find(|name| topic == **name).unwrap()).collect(),
            ));
        } else if let Some(id) = object["id"].as_str() {
            let cursor: Cursor = id.parse().unwrap();
            assert!(object.get("data").is_some(), "{object}");
            assert!(cursor.sequence() > last, "an event is doubled, or out of order: {object}");
            last = cursor.sequence();
            received.push((last, object["topic"].as_str().unwrap().to_owned()));
        }
    }
    let in_force = |sequence: u64| &sets.iter().rev().find(|(after, _)| *after < sequence).unwrap().1;
    let all = published.iter().enumerate().map(|(at, topic)| (begin + 1 + at as u64, *topic));
    let expected: Vec<_> =
        all.filter(|(at, topic)| in_force(*at).contains(topic)).map(|(at, topic)| (at, topic.to_owned())).collect();
    assert_eq!(received, expected, "{sets:?}");
    let topics = endpoint.session(SessionId::from(1)).unwrap().session.topics();
    let mut followed: Vec<_> = topics.iter().map(|topic| topic.as_str()).collect();
    let mut newest = sets.pop().unwrap().1;
    followed.sort_unstable();
    newest.sort_unstable();
    assert_eq!(followed, newest);
    assert_eq!(app.hub().stats().subscriptions, followed.len(), "one for each topic");
}

proptest! {
    #[test]
    fn event_is_delivered_exactly_if_its_topic_is_in_the_set_in_force(
        steps in prop::collection::vec(any_step(), 0..40),
        throttle in prop_oneof![Just(0), Just(20_u64)],
    ) {
        runtime().block_on(run(&steps, throttle));
    }
}
