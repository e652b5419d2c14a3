use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::inbox::Item;
use super::{ClientEnd, Seen, SeenData, SeenEvent, SeenGap, SeenTopicEnd};

/// Reads the object of an event, a gap or a control message. Unknown members are an error.
pub(super) fn read_object(text: &[u8]) -> Result<Item, String> {
    let value: Value = serde_json::from_slice(text).map_err(|error| format!("{error}: {}", text.escape_ascii()))?;
    read_value(value)
}

pub(super) fn read_value(value: Value) -> Result<Item, String> {
    let shown = value.to_string();
    let Value::Object(mut object) = value else { return Err(format!("not an object: {shown}")) };
    let item = if object.contains_key("tidings") {
        control(&mut object)
    } else if object.contains_key("gap") {
        gap(&mut object).map(|gap| Item::Seen(Seen::Gap(gap)))
    } else if object.contains_key("end") {
        end(&mut object)
    } else {
        event(&mut object).map(|event| Item::Seen(Seen::Event(event)))
    };
    match item {
        Some(item) if object.is_empty() => Ok(item),
        Some(_) => Err(format!("unknown members {object:?} in {shown}")),
        None => Err(format!("a member is missing in {shown}")),
    }
}

fn event(object: &mut Map<String, Value>) -> Option<SeenEvent> {
    let (cursor, topic, name) = (text(object, "id"), Some(text(object, "topic")?), text(object, "event"));
    let key = text(object, "key");
    if let Some(removed) = object.remove("removed") {
        return (removed == true && key.is_some()).then_some(SeenEvent {
            cursor,
            topic,
            key,
            name,
            data: SeenData::Removed,
        });
    }
    let data = match (object.remove("data")?, object.remove("encoding")) {
        (Value::String(text), None) => SeenData::Text(text),
        (Value::String(text), Some(encoding)) if encoding == "base64" => SeenData::Binary(STANDARD.decode(text).ok()?),
        (json, None) => SeenData::Json(json),
        _ => return None,
    };
    Some(SeenEvent { cursor, topic, key, name, data })
}

fn gap(object: &mut Map<String, Value>) -> Option<SeenGap> {
    let Some(Value::Object(mut inner)) = object.remove("gap") else { return None };
    let missed = match inner.remove("missed")? {
        Value::Null => None,
        number => Some(number.as_u64()?),
    };
    let (reason, topic) = (text(&mut inner, "reason")?, text(&mut inner, "topic"));
    let snapshot = match inner.remove("snapshot") {
        None => false,
        Some(follows) => (follows == true).then_some(true)?,
    };
    inner.is_empty().then_some(SeenGap { cursor: text(object, "id")?, reason, missed, topic, snapshot })
}

/// Reads the end of a topic, or an end of all topics, which only repeats the cursor.
fn end(object: &mut Map<String, Value>) -> Option<Item> {
    let Some(Value::Object(mut inner)) = object.remove("end") else { return None };
    let cursor = text(object, "id")?;
    if inner.is_empty() {
        return Some(Item::Cursor(Some(cursor)));
    }
    let (topic, reason) = (text(&mut inner, "topic")?, text(&mut inner, "reason")?);
    inner.is_empty().then_some(Item::Seen(Seen::TopicEnd(SeenTopicEnd { cursor, topic, reason })))
}

fn control(object: &mut Map<String, Value>) -> Option<Item> {
    let kind = text(object, "tidings")?;
    if kind == "bye" {
        object.remove("retry_ms")?.as_u64()?;
        return Some(Item::Seen(Seen::End(ClientEnd::Later)));
    }
    let cursor = match object.remove("cursor")? {
        Value::Null => None,
        cursor => Some(cursor.as_str()?.to_owned()),
    };
    match kind.as_str() {
        "hello" => object.remove("heartbeat_ms").map(|_| Item::Hello(cursor)),
        "heartbeat" => Some(Item::Cursor(cursor)),
        _ => None,
    }
}

fn text(object: &mut Map<String, Value>, key: &str) -> Option<String> {
    match object.remove(key)? {
        Value::String(text) => Some(text),
        other => {
            // The member stays in the object, so it is reported as unknown.
            object.insert(key.to_owned(), other);
            None
        }
    }
}
