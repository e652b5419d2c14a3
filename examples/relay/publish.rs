//! `POST /publish/{topic}` and `POST /publish`.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tidings::{Event, PublishError, Topic};

use crate::problem::Problem;
use crate::{MAX_LINES, MAX_PAYLOAD, Relay, lines};

/// What an event may have besides a payload.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Labels {
    pub(crate) event: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) ttl: Option<u64>,
}

/// Publishes the body to the topic that the rest of the path is.
pub(crate) async fn one(
    State(relay): State<Relay>,
    topic: Result<Path<String>, PathRejection>,
    labels: Result<Query<Labels>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let Path(topic) = topic.map_err(|rejection| Problem::bad(rejection.body_text()))?;
    let topic = Topic::new(topic).map_err(|error| Problem::bad(error.to_string()).at("topic"))?;
    let Query(labels) = labels.map_err(|rejection| Problem::bad(rejection.body_text()))?;
    let kind = Kind::of(&headers)?;
    let body = body.map_err(|rejection| too_long(&rejection, MAX_PAYLOAD))?;
    // A copy: the body is a slice of the connection's read buffer, which history would hold on to.
    let body = Bytes::copy_from_slice(&body);
    let event = match kind {
        Kind::Text => Event::utf8(body),
        Kind::Json => Event::json_text(body),
        Kind::Binary => Ok(Event::binary(body)),
    };
    let event = labels.put_on(event.map_err(|error| Problem::bad(error.to_string()).at("body"))?)?;
    let receipt = relay.hub.publish_now(&topic, event).map_err(|error| refused(&error))?;
    Ok(Json(json!({ "cursor": receipt.cursor.to_string(), "subscribers": receipt.subscribers })))
}

/// Publishes the events that the body's lines are, all or none, in one round of wakes.
pub(crate) async fn many(
    State(relay): State<Relay>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let body = body.map_err(|rejection| too_long(&rejection, MAX_LINES))?;
    let receipts = relay.hub.publish_all(lines::read(&body)?).map_err(|error| refused(&error))?;
    let cursor = receipts.last().map_or_else(|| relay.hub.cursor(), |last| last.cursor);
    Ok(Json(json!({ "published": receipts.len(), "cursor": cursor.to_string() })))
}

/// Any page on the web can make its visitor's browser post here. Browsers say for which page they post (RFC 6454 §7),
/// programs don't.
pub(crate) async fn only_from_our_pages(
    State(relay): State<Relay>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let listed = |origin: &HeaderValue| relay.origins.iter().any(|listed| origin.as_bytes() == listed.as_bytes());
    match request.headers().get_all(header::ORIGIN).iter().all(listed) {
        true => Ok(next.run(request).await),
        false => {
            Err(Problem::new(StatusCode::FORBIDDEN, "pages of this origin may not publish; relay --origin adds it"))
        }
    }
}

impl Labels {
    /// The event with these labels.
    pub(crate) fn put_on(self, event: Event) -> Result<Event, Problem> {
        let event = match self.event {
            Some(name) => event.named(&name).map_err(|error| Problem::bad(error.to_string()).at("event"))?,
            None => event,
        };
        let event = match self.key {
            Some(key) => event.keyed(&key).map_err(|error| Problem::bad(error.to_string()).at("key"))?,
            None => event,
        };
        Ok(match self.ttl {
            Some(ttl) => event.ttl(Duration::from_millis(ttl)),
            None => event,
        })
    }
}

enum Kind {
    Text,
    Json,
    Binary,
}

impl Kind {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(Self::Text) };
        let value = value.to_str().unwrap_or("").to_ascii_lowercase();
        let (kind, parameters) = value.split_once(';').unwrap_or((&value, ""));
        let charset = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("charset="));
        let utf8 = charset.is_none_or(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"));
        match kind.trim() {
            "application/octet-stream" => Ok(Self::Binary),
            "application/json" if utf8 => Ok(Self::Json),
            // What `curl -d` says of any body, unless told otherwise.
            "application/x-www-form-urlencoded" => Ok(Self::Text),
            kind if kind.starts_with("text/") && utf8 => Ok(Self::Text),
            _ => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!(
                    "content-type: '{value}' is none of text/* in UTF-8, application/json and application/octet-stream"
                ),
            )),
        }
    }
}

fn too_long(rejection: &BytesRejection, limit: usize) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("body: at most {limit} bytes"))
        }
        status => Problem::new(status, rejection.body_text()).at("body"),
    }
}

fn refused(error: &PublishError) -> Problem {
    match error {
        PublishError::TooLarge { .. } => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        _ => Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}
