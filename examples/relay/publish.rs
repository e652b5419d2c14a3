//! `POST /publish/{topic}`, `DELETE /publish/{topic}` and `POST /publish`.

use std::fmt::Write;
use std::iter::once;

use bytes::BytesMut;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde::Serialize;
use tidings::{Cursor, Event, PublishError, Receipt, Topic};

use crate::pages::{self, JSON, Page};
use crate::peer::Peer;
use crate::problem::Problem;
use crate::request::{self, Kind, Labels};
use crate::{MAX_LINES, MAX_PAYLOAD, Relay, lines};

/// A request for one event, before its body is read.
pub(crate) struct One {
    topic: Topic,
    peer: Peer,
    labels: Labels,
    kind: Kind,
    body: Incoming,
}

/// A request to remove a key from the state of a topic.
pub(crate) struct Removal {
    topic: Topic,
    peer: Peer,
    event: Event,
}

/// Response to a publish of several lines.
#[derive(Serialize)]
struct AllPublished {
    published: usize,
    cursor: String,
}

impl One {
    /// Reads the head of a request with the event as its body. The topic is the rest of the path.
    pub(crate) fn read(relay: &Relay, request: Request<Incoming>) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        relay.origins.check(&head.headers)?;
        request::only_identity(&head.headers)?;
        let topic = request::topic(&head.uri, "/publish/")?;
        let peer = pages::peer(&head.extensions)?;
        let labels = Labels::of(&head.uri)?;
        let kind = Kind::of(&head.headers)?;
        Ok(Self { topic, peer, labels, kind, body })
    }

    /// Reads the body and publishes the event.
    pub(crate) async fn publish(self, relay: &Relay) -> Result<Page, Problem> {
        let Self { topic, peer, labels, kind, body } = self;
        let body = request::body(relay, &peer, body, MAX_PAYLOAD).await?;
        let event = match kind {
            Kind::Text => Event::utf8(body),
            Kind::Json => Event::json_text(body),
            Kind::Binary => Ok(Event::binary(body)),
        };
        let event = labels.put_on(event.map_err(|error| Problem::bad(error.to_string()).at("body"))?)?;
        publish_one(relay, &peer, &topic, event).await
    }
}

impl Removal {
    /// Reads the request. The body is ignored.
    pub(crate) fn read(relay: &Relay, request: &Request<Incoming>) -> Result<Self, Problem> {
        relay.origins.check(request.headers())?;
        let topic = request::topic(request.uri(), "/publish/")?;
        let event = Labels::of(request.uri())?.into_removal()?;
        let peer = pages::peer(request.extensions())?;
        Ok(Self { topic, peer, event })
    }

    /// Publishes the removal.
    pub(crate) async fn publish(self, relay: &Relay) -> Result<Page, Problem> {
        let Self { topic, peer, event } = self;
        publish_one(relay, &peer, &topic, event).await
    }
}

async fn publish_one(relay: &Relay, peer: &Peer, topic: &Topic, event: Event) -> Result<Page, Problem> {
    relay.quota.create(&relay.hub, peer, once(topic))?;
    let receipt = relay.hub.publish(topic, event).await.map_err(|error| refused(&error))?;
    Ok(published(&receipt))
}

/// Publishes the events of the body's lines, all or none, in one batch.
pub(crate) async fn many(relay: &Relay, peer: &Peer, body: Incoming) -> Result<Page, Problem> {
    let body = request::body(relay, peer, body, MAX_LINES).await?;
    let events = lines::read(&body)?;
    drop(body);
    relay.quota.create(&relay.hub, peer, events.iter().map(|(topic, _)| topic))?;
    let receipts = relay.hub.publish_batch(events).await.map_err(|error| refused(&error))?;
    let cursor = receipts.last().and_then(Receipt::cursor).unwrap_or_else(|| relay.hub.cursor());
    Ok(pages::json(&AllPublished { published: receipts.len(), cursor: cursor.to_string() }))
}

/// Returns the response to one publish. It is written by hand because it is sent for each event. A cursor needs no escapes
/// in JSON.
fn published(receipt: &Receipt) -> Page {
    let mut text = BytesMut::with_capacity(Cursor::MAX_LEN);
    text.extend_from_slice(br#"{"cursor":""#);
    receipt.cursor().into_iter().for_each(|cursor| cursor.encode(&mut text));
    // A write to memory does not fail.
    let _ = write!(text, r#"","subscribers":{}}}"#, receipt.subscribers());
    pages::page(JSON, text)
}

/// Returns the problem of a refused publish.
pub(crate) fn refused(error: &PublishError) -> Problem {
    match error {
        PublishError::Finished(_) => Problem::new(StatusCode::CONFLICT, error.to_string()),
        PublishError::TooLarge { .. } => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        PublishError::KeyRequired(_) | PublishError::TtlUnsupported(_) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
        }
        PublishError::NotKeyed(topic) => {
            let text = format!("topic `{topic}` keeps no state; relay --latest-per-key adds it");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text)
        }
        // The reason names the disk. The hub is this process.
        PublishError::Unavailable(reason) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, &**reason).retry_after(1),
        PublishError::StateFull { .. } => Problem::new(StatusCode::INSUFFICIENT_STORAGE, error.to_string()),
        _ => Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}
