//! Random changes of the topics of a session with keyed topics. The client applies what it receives.

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tidings::subscriber::Delivery;
use tidings::{
    Cursor, Event, LocalHub, Pattern, Retention, SessionId, Start, Subscribe, Subscriber, Subscription, Topic,
};

use super::app::LiveApp;
use crate::support::http::{TestClient, pass, runtime};

const TOPICS: [&str; 4] = ["keyed/1", "keyed/2", "keyed/3", "a"];

/// Value of each key of each keyed topic.
type State = BTreeMap<(String, String), String>;

#[derive(Debug, Clone)]
enum Step {
    /// Sets or removes a key.
    Publish(usize, u8, bool),
    /// The client asks for the topics of these bits.
    Change(u8),
    /// The application subscribes to these topics, or to all keyed ones by a pattern.
    Prepare(u8, bool),
    /// The session gets the newest subscription of the application.
    Give,
    /// Tasks run this many times.
    Run(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..TOPICS.len(), 0..5_u8, any::<bool>()).prop_map(|(topic, key, removes)| Step::Publish(topic, key, removes)),
        2 => (1..16_u8).prop_map(Step::Change),
        2 => (0..16_u8, any::<bool>()).prop_map(|(bits, has_cursor)| Step::Prepare(bits, has_cursor)),
        2 => Just(Step::Give),
        4 => (1..8_u8).prop_map(Step::Run),
    ]
}

fn named(bits: u8) -> Vec<&'static str> {
    match bits {
        0 => vec!["keyed/*"],
        _ => TOPICS.into_iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, topic)| topic).collect(),
    }
}

fn follows(names: &[Pattern], topic: &str) -> bool {
    let topic = Topic::new(topic).unwrap();
    names.iter().any(|name| name.matches(&topic))
}

/// Returns the names in the confirmation of a change.
fn topics_of(object: &Value) -> Option<Vec<Pattern>> {
    let names = object["topics"].as_array()?;
    Some(names.iter().map(|name| Pattern::new(name.as_str().unwrap()).unwrap()).collect())
}

/// Client that applies each object.
#[derive(Default)]
struct Client {
    topics: Vec<Pattern>,
    state: State,
    seen: BTreeMap<String, BTreeSet<String>>,
    cursor: Option<Cursor>,
}

impl Client {
    fn apply(&mut self, object: &Value) {
        assert!(object.get("gap").is_none(), "nothing is forgotten: {object}");
        // The error of a change has no cursor.
        let Some(cursor) = object["id"].as_str().or(object["cursor"].as_str()) else { return };
        self.cursor = Some(cursor.parse().unwrap());
        if let Some(names) = topics_of(object) {
            self.topics = names;
            let topics = self.topics.clone();
            self.state.retain(|(topic, _), _| follows(&topics, topic));
            self.seen.retain(|topic, _| follows(&topics, topic));
        } else if let Some(topic) = object["topic"].as_str() {
            let is_new = self.seen.entry(topic.to_owned()).or_default().insert(cursor.to_owned());
            assert!(is_new, "twice: {object}");
            let Some(key) = object["key"].as_str() else { return };
            let key = (topic.to_owned(), key.to_owned());
            match object["data"].as_str() {
                Some(value) => _ = self.state.insert(key, value.to_owned()),
                None => _ = self.state.remove(&key),
            }
        }
    }

    /// Returns the state after the client was cut here, and came again with its cursor and the topics of its last confirmation.
    fn resumed(&self, hub: &LocalHub) -> State {
        let mut state = self.state.clone();
        state.retain(|(topic, _), _| follows(&self.topics, topic));
        let request = Subscribe::patterns(self.topics.iter().cloned()).start(Start::After(self.cursor.unwrap()));
        let mut subscription = hub.subscribe(request).unwrap();
        while let Poll::Ready(delivery) = subscription.poll_next(&mut Context::from_waker(Waker::noop())) {
            let Delivery::Events(batch) = delivery else { panic!("{delivery:?}") };
            for event in batch.iter().filter(|event| event.event.key().is_some()) {
                let key = (event.topic.to_string(), event.event.key().unwrap().to_owned());
                match event.event.as_str().filter(|_| !event.event.is_removal()) {
                    Some(value) => _ = state.insert(key, value.to_owned()),
                    None => _ = state.remove(&key),
                }
            }
        }
        state
    }
}

async fn run(steps: &[Step], max_batch: usize) {
    let app = LiveApp::with_hub(LocalHub::builder().retain_for("keyed/*", Retention::latest_per_key()).build());
    let endpoint = app.builder().max_message_rate(10_000).max_batch_bytes(max_batch).build();
    for topic in &TOPICS[..2] {
        app.hub().publish_now(*topic, Event::text("first").with_key("0").unwrap()).unwrap();
    }
    let id = SessionId::from(1);
    let mut client = TestClient::open_objects(&endpoint, "/?topic=keyed/1&topic=a").await;
    let (mut prepared, mut published) = (None::<Subscription>, State::new());
    for topic in &TOPICS[..2] {
        published.insert(((*topic).to_owned(), "0".to_owned()), "first".to_owned());
    }
    for (at, step) in steps.iter().enumerate() {
        match *step {
            Step::Publish(topic, key, removes) => {
                let (topic, key) = (TOPICS[topic], key.to_string());
                let is_keyed = topic.starts_with("keyed");
                let event = match removes && is_keyed {
                    true => Event::removal(&key).unwrap(),
                    false if is_keyed => Event::text(at.to_string()).with_key(&key).unwrap(),
                    false => Event::text(at.to_string()),
                };
                app.hub().publish_now(topic, event).unwrap();
                match removes {
                    _ if !is_keyed => {}
                    true => _ = published.remove(&(topic.to_owned(), key)),
                    false => _ = published.insert((topic.to_owned(), key), at.to_string()),
                }
            }
            Step::Change(bits) => {
                let object = json!({ "tidings": "topics", "topics": named(bits) }).to_string();
                client.send_at_once(1, object.as_bytes()).await;
            }
            Step::Prepare(bits, has_cursor) => {
                let cursor = endpoint.session(id).unwrap().cursor.filter(|_| has_cursor);
                let request = Subscribe::patterns(named(bits)).start(cursor.map_or(Start::Now, Start::After));
                prepared = Some(app.hub().subscribe(request).unwrap());
            }
            Step::Give => {
                if let Some(subscription) = prepared.take() {
                    endpoint.resubscribe(id, subscription).unwrap();
                }
            }
            Step::Run(times) => {
                for _ in 0..times {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    pass(Duration::from_millis(20)).await;
    assert_eq!(client.end(), None);
    let expected = |names: &[Pattern]| {
        let mut state = published.clone();
        state.retain(|(topic, _), _| follows(names, topic));
        state
    };
    let topics = ["keyed/1", "a"].map(|name| Pattern::new(name).unwrap()).into();
    let mut model = Client { topics, ..Client::default() };
    let objects = client.objects();
    for object in &objects {
        model.apply(object);
        assert_eq!(model.resumed(app.hub()), expected(&model.topics), "after a cut at {object}");
    }
    assert_eq!(model.state, expected(&model.topics));
}

proptest! {
    #[test]
    fn client_has_the_states_of_its_topics_after_any_changes_and_any_cut(
        steps in prop::collection::vec(any_step(), 0..40),
        max_batch in prop_oneof![Just(1), Just(65_536_usize)],
    ) {
        runtime().block_on(run(&steps, max_batch));
    }
}
