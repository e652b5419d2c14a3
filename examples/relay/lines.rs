//! The lines of `POST /publish`.

use hyper::StatusCode;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_path_to_error::Segment;
use tidings::{Event, Topic};

use crate::MAX_PAYLOAD;
use crate::problem::Problem;
use crate::request::Labels;

/// One line. `data` is as in the event object: a string is text, anything else is JSON. Without `data`, `removed` is `true`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    topic: String,
    #[serde(default, deserialize_with = "present")]
    data: Option<Box<RawValue>>,
    removed: Option<bool>,
    event: Option<String>,
    key: Option<String>,
    tag: Option<String>,
    ttl: Option<u64>,
}

/// Returns the events of all lines, or the problem of the first invalid one. Empty lines are skipped.
pub(crate) fn read(body: &[u8]) -> Result<Vec<(Topic, Event)>, Problem> {
    let lines = body.split(|&byte| byte == b'\n').zip(1..);
    let lines = lines.filter(|(line, _)| !line.trim_ascii().is_empty());
    lines.map(|(line, number)| event(line).map_err(|problem| problem.at(&format!("line {number}")))).collect()
}

fn event(line: &[u8]) -> Result<(Topic, Event), Problem> {
    // Serde would also accept an array with the fields in order.
    if !line.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::bad("not a JSON object"));
    }
    let mut parser = serde_json::Deserializer::from_slice(line);
    let line: Line =
        serde_path_to_error::deserialize(&mut parser).map_err(|error| match error.path().iter().next() {
            Some(field @ Segment::Map { .. }) => malformed(error.inner()).at(&field.to_string()),
            _ => malformed(error.inner()),
        })?;
    parser.end().map_err(|error| malformed(&error))?;
    let topic = Topic::new(line.topic).map_err(|error| Problem::bad(error.to_string()).at("topic"))?;
    let labels = Labels { event: line.event, key: line.key, tag: line.tag, ttl: line.ttl };
    let data = match (&line.data, line.removed) {
        (Some(data), None) => data.get(),
        (None, Some(true)) => return Ok((topic, labels.into_removal()?)),
        _ => return Err(Problem::bad("a line has either data or \"removed\":true")),
    };
    if data.len() > MAX_PAYLOAD {
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("at most {MAX_PAYLOAD} bytes")).at("data"));
    }
    let event = match data.starts_with('"') {
        true => Event::text(serde_json::from_str::<String>(data).map_err(|error| malformed(&error).at("data"))?),
        false => Event::json_text(data.to_owned()).map_err(|error| Problem::bad(error.to_string()).at("data"))?,
    };
    Ok((topic, labels.put_on(event)?))
}

/// Reads a value that is present, also `null`.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(value).map(Some)
}

/// Returns the problem with the parser's text. The parser counts lines within the line, so only the column is kept.
fn malformed(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    Problem::bad(format!("{text}, at column {}", error.column()))
}
