//! `POST /publish/{topic}` and `POST /publish`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use serde::Serialize;
use tidings::{Event, PublishError};

use crate::extract::{Body, FromOurPages, Kind, Labels, Target};
use crate::problem::Problem;
use crate::{MAX_LINES, MAX_PAYLOAD, Relay, lines};

/// What became of an event.
#[derive(Serialize)]
pub(crate) struct Published {
    cursor: String,
    subscribers: usize,
}

/// What became of lines.
#[derive(Serialize)]
pub(crate) struct AllPublished {
    published: usize,
    cursor: String,
}

/// Publishes the body to the topic that the rest of the path is.
pub(crate) async fn one(
    State(relay): State<Arc<Relay>>,
    _: FromOurPages,
    Target(topic): Target,
    labels: Labels,
    kind: Kind,
    Body(body): Body<MAX_PAYLOAD>,
) -> Result<Json<Published>, Problem> {
    // A copy: the body is a slice of the connection's read buffer, which history would hold on to.
    let body = Bytes::copy_from_slice(&body);
    let event = match kind {
        Kind::Text => Event::utf8(body),
        Kind::Json => Event::json_text(body),
        Kind::Binary => Ok(Event::binary(body)),
    };
    let event = labels.put_on(event.map_err(|error| Problem::bad(error.to_string()).at("body"))?)?;
    let receipt = relay.hub.publish_now(&topic, event).map_err(|error| refused(&error))?;
    Ok(Json(Published { cursor: receipt.cursor.to_string(), subscribers: receipt.subscribers }))
}

/// Publishes the events that the body's lines are, all or none, in one round of wakes.
pub(crate) async fn many(
    State(relay): State<Arc<Relay>>,
    _: FromOurPages,
    Body(body): Body<MAX_LINES>,
) -> Result<Json<AllPublished>, Problem> {
    let receipts = relay.hub.publish_all(lines::read(&body)?).map_err(|error| refused(&error))?;
    let cursor = receipts.last().map_or_else(|| relay.hub.cursor(), |last| last.cursor);
    Ok(Json(AllPublished { published: receipts.len(), cursor: cursor.to_string() }))
}

fn refused(error: &PublishError) -> Problem {
    match error {
        PublishError::TooLarge { .. } => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        _ => Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}
