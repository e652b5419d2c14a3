//! `POST /publish/{topic}` and `POST /publish`.

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde::Serialize;
use tidings::{Event, PublishError};

use crate::pages::{self, Page};
use crate::problem::Problem;
use crate::request::{self, Kind, Labels};
use crate::{MAX_LINES, MAX_PAYLOAD, Relay, lines};

/// What became of an event.
#[derive(Serialize)]
struct Published {
    cursor: String,
    subscribers: usize,
}

/// What became of lines.
#[derive(Serialize)]
struct AllPublished {
    published: usize,
    cursor: String,
}

/// Publishes the body to the topic that the rest of the path is.
pub(crate) async fn one(relay: &Relay, request: Request<Incoming>) -> Result<Page, Problem> {
    let (head, body) = request.into_parts();
    relay.only_from_our_pages(&head.headers)?;
    let topic = request::topic(&head.uri)?;
    let labels = Labels::of(&head.uri)?;
    let kind = Kind::of(&head.headers)?;
    let body = request::body(relay, body, MAX_PAYLOAD).await?;
    let event = match kind {
        Kind::Text => Event::utf8(body),
        Kind::Json => Event::json_text(body),
        Kind::Binary => Ok(Event::binary(body)),
    };
    let event = labels.put_on(event.map_err(|error| Problem::bad(error.to_string()).at("body"))?)?;
    let receipt = relay.hub.publish_now(&topic, event).map_err(|error| refused(&error))?;
    Ok(pages::json(&Published { cursor: receipt.cursor.to_string(), subscribers: receipt.subscribers }))
}

/// Publishes the events that the body's lines are, all or none, in one round of wakes.
pub(crate) async fn many(relay: &Relay, request: Request<Incoming>) -> Result<Page, Problem> {
    relay.only_from_our_pages(request.headers())?;
    let body = request::body(relay, request.into_body(), MAX_LINES).await?;
    let receipts = relay.hub.publish_all(lines::read(&body)?).map_err(|error| refused(&error))?;
    let cursor = receipts.last().map_or_else(|| relay.hub.cursor(), |last| last.cursor);
    Ok(pages::json(&AllPublished { published: receipts.len(), cursor: cursor.to_string() }))
}

fn refused(error: &PublishError) -> Problem {
    match error {
        PublishError::TooLarge { .. } => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        _ => Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}
