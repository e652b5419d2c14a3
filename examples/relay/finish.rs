//! `POST /finish/{topic}?reason=done|stopped|failed`.

use std::iter::once;

use hyper::body::Incoming;
use hyper::{Request, Uri};
use serde_json::json;
use tidings::{EndReason, Topic};

use crate::pages::{self, Page};
use crate::peer::Peer;
use crate::problem::Problem;
use crate::publish::refused;
use crate::{Relay, request};

/// A request to end a topic. It takes what a publication takes: a listed origin, and a topic that the peer may create.
pub(crate) struct Finish {
    topic: Topic,
    peer: Peer,
    reason: EndReason,
}

impl Finish {
    /// Reads the request. The body is ignored.
    pub(crate) fn read(relay: &Relay, request: &Request<Incoming>) -> Result<Self, Problem> {
        relay.origins.check(request.headers())?;
        let topic = request::topic(request.uri(), "/finish/")?;
        let reason = reason(request.uri())?;
        let peer = pages::peer(request.extensions())?;
        Ok(Self { topic, peer, reason })
    }

    /// Ends the topic. A topic that has ended keeps its first reason, which the response has.
    pub(crate) async fn finish(self, relay: &Relay) -> Result<Page, Problem> {
        let Self { topic, peer, reason } = self;
        relay.quota.create(&relay.hub, &peer, once(&topic))?;
        let end = relay.hub.finish(&topic, reason).await.map_err(|error| refused(&error))?;
        Ok(pages::json(&json!({ "cursor": end.cursor.to_string(), "reason": end.reason.as_str() })))
    }
}

fn reason(uri: &Uri) -> Result<EndReason, Problem> {
    let mut reason = EndReason::Done;
    for (name, value) in request::parameters(uri)? {
        if name != "reason" {
            return Err(Problem::bad(format!("unknown parameter '{name}': use reason")));
        }
        let known = EndReason::ALL.iter().find(|reason| reason.as_str() == value);
        let unknown = || Problem::bad(format!("takes done, stopped or failed, not '{value}'")).at("reason");
        reason = *known.ok_or_else(unknown)?;
    }
    Ok(reason)
}
