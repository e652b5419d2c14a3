use serde_json::Value;

use super::inbox::{Item, reaches};
use super::object::read_value;
use super::{ClientEnd, Inbox, Seen};

/// Reads a poll reply into an inbox. Returns its cursor.
///
/// # Errors
///
/// Returns a description of a reply that is not of the wire format, also of unknown members.
pub fn read_reply(body: &[u8], inbox: &mut Inbox) -> Result<Option<String>, String> {
    let shown = body.escape_ascii();
    let Ok(Value::Object(mut reply)) = serde_json::from_slice(body) else {
        return Err(format!("not an object: {shown}"));
    };
    let (Some(cursor), Some(Value::Array(events))) = (reply.remove("cursor"), reply.remove("events")) else {
        return Err(format!("no cursor or no events: {shown}"));
    };
    let (more, end) = (reply.remove("more"), reply.remove("end"));
    if !reply.is_empty() || [&more, &end].into_iter().flatten().any(|member| *member != true) {
        return Err(format!("unknown members: {shown}"));
    }
    if more.is_some() && end.is_some() {
        return Err(format!("an end before the last event: {shown}"));
    }
    let cursor = match cursor {
        Value::Null => None,
        Value::String(cursor) => Some(cursor),
        _ => return Err(format!("the cursor is not a string: {shown}")),
    };
    let mut last = None;
    for event in events {
        let Item::Seen(seen) = read_value(event)? else { return Err(format!("neither event nor gap: {shown}")) };
        last = seen.cursor().map(str::to_owned);
        inbox.put(Item::Seen(seen));
    }
    if last.is_some_and(|last| !reaches(cursor.as_deref(), &last)) {
        return Err(format!("the cursor is before the last event's: {shown}"));
    }
    inbox.put(Item::Cursor(cursor.clone()));
    if end.is_some() {
        inbox.put(Item::Seen(Seen::End(ClientEnd::AllEnded)));
    }
    Ok(cursor)
}
