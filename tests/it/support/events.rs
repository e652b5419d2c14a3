use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};
use tidings::{EndReason, Event, EventKind, GapReason, Topic};

use super::Feed;

/// Generates a topic name.
pub(crate) fn any_topic() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,4}(/[a-z0-9.]{1,4}){0,2}", "[^\\p{Cc}/*]{1,20}(/[^\\p{Cc}/*]{1,20}){0,2}"]
        .prop_filter("a topic", |name| Topic::new(name).is_ok())
}

/// Generates an event: text, bytes or, with the feature `json`, JSON. Some events have a name, and some a key.
pub(crate) fn any_event() -> impl Strategy<Value = Event> {
    (any_payload(), prop::option::of(any_key())).prop_map(|(event, key)| match key {
        Some(key) => event.with_key(&key).unwrap(),
        None => event,
    })
}

/// Generates an event or a removal.
pub(crate) fn any_change() -> impl Strategy<Value = Event> {
    prop_oneof![7 => any_event(), 1 => any_key().prop_map(|key| Event::removal(&key).unwrap())]
}

fn any_key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,4}", "[^\\p{Cc}]{1,16}"]
}

fn any_payload() -> impl Strategy<Value = Event> {
    let text = prop_oneof![any::<String>(), any_hard_text()].prop_map(Event::text);
    let binary = prop::collection::vec(any::<u8>(), 0..64).prop_map(Event::binary);
    let name = prop_oneof![Just(None), "[a-z:. ]{1,12}".prop_map(Some), "[^\\p{Cc}]{1,16}".prop_map(Some)];
    (prop_oneof![2 => text, 1 => binary, 1 => any_json()], name).prop_map(|(event, name)| match name {
        Some(name) => event.clone().with_name(&name).unwrap_or(event),
        None => event,
    })
}

/// Generates text of pieces that have a meaning in one of the wire formats.
fn any_hard_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        ":",
        " ",
        "\t",
        "\0",
        "\"",
        "\\",
        ",",
        "]}",
        "a",
        "data: x",
        "id: 1",
        "retry: 1",
        "event: e",
        "\u{feff}",
        "\u{85}",
        "\u{b}",
        "\u{c}",
        "\u{1b}",
        "\u{1c}",
        "\u{7f}",
        "\u{2028}",
        "\u{2029}",
        "é中🦀",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[cfg(feature = "json")]
fn any_json() -> impl Strategy<Value = Event> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_hard_text().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(any_hard_text(), inner, 0..4).prop_map(Value::from_iter),
        ]
    });
    (value, any::<bool>()).prop_map(|(value, pretty)| match pretty {
        true => Event::json_text(serde_json::to_vec_pretty(&value).unwrap()).unwrap(),
        false => Event::json(&value).unwrap(),
    })
}

#[cfg(not(feature = "json"))]
fn any_json() -> impl Strategy<Value = Event> {
    Just(Event::text("{}"))
}

/// An item of a source, except the end.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Event(String, Event),
    Gap(GapReason, Option<u64>),
    /// The end of a topic, while others go on.
    TopicEnd(String, EndReason),
    /// An event of a topic that the readers do not follow.
    Pass,
}

/// Generates a short history.
pub(crate) fn any_history() -> impl Strategy<Value = Vec<Step>> {
    let reasons = vec![GapReason::Evicted, GapReason::Overflow, GapReason::Epoch, GapReason::Invalid];
    let gap = (prop::sample::select(reasons), any::<Option<u64>>());
    prop::collection::vec(
        prop_oneof![
            8 => (any_topic(), any_change()).prop_map(|(topic, event)| Step::Event(topic, event)),
            1 => gap.prop_map(|(reason, missed)| Step::Gap(reason, missed)),
            1 => (any_topic(), prop::sample::select(EndReason::ALL)).prop_map(|(topic, reason)| Step::TopicEnd(topic, reason)),
            1 => Just(Step::Pass),
        ],
        0..12,
    )
}

/// Puts a history into a feed. Returns the event objects that a client should get.
pub(crate) fn put(history: &[Step], feed: &Feed) -> Vec<Value> {
    let mut objects = Vec::new();
    for step in history {
        match step {
            Step::Event(topic, event) => {
                let id = feed.event(topic, event.clone());
                objects.push(object(id.map(|id| id.to_string()), topic, event));
            }
            Step::Gap(reason, missed) => {
                let id = feed.gap(*reason, *missed).to_string();
                objects.push(json!({ "id": id, "gap": { "reason": reason.as_str(), "missed": missed } }));
            }
            Step::TopicEnd(topic, reason) => {
                let id = feed.topic_end(topic, *reason).to_string();
                objects.push(json!({ "id": id, "end": { "topic": topic, "reason": reason.as_str() } }));
            }
            Step::Pass => feed.pass(),
        }
    }
    objects
}

/// Returns the event object that a client should read.
fn object(id: Option<String>, topic: &str, event: &Event) -> Value {
    let mut object = match event.kind() {
        EventKind::Json => json!({ "data": serde_json::from_slice::<Value>(event.payload()).unwrap() }),
        EventKind::Binary => json!({ "data": STANDARD.encode(event.payload()) }),
        EventKind::Removal => json!({ "removed": true }),
        _ => json!({ "data": event.as_str() }),
    };
    object["topic"] = topic.into();
    for (key, value) in
        [("id", id), ("event", event.name().map(str::to_owned)), ("key", event.key().map(str::to_owned))]
    {
        if let Some(value) = value {
            object[key] = value.into();
        }
    }
    if event.kind() == EventKind::Binary {
        object["encoding"] = "base64".into();
    }
    object
}
