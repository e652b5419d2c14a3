//! `POST /finish/{topic}?reason=done|stopped|failed`.

use std::iter::once;

use hyper::body::Incoming;
use hyper::{Request, Uri};
use serde_json::json;
use tidings::EndReason;

use crate::pages::{self, Page};
use crate::problem::Problem;
use crate::publish::refused;
use crate::{Relay, request};

/// Ends a topic. It takes what a publication takes: a listed origin, and a topic that the peer may create. The body is
/// ignored. A topic that has ended keeps its first reason, which the response has.
pub(crate) fn finish(relay: &Relay, request: &Request<Incoming>) -> Result<Page, Problem> {
    relay.origins.check(request.headers())?;
    let topic = request::topic(request.uri(), "/finish/")?;
    let reason = reason(request.uri())?;
    let peer = pages::peer(request.extensions())?;
    relay.quota.create(&relay.hub, &peer, once(&topic))?;
    let end = relay.hub.finish(&topic, reason).map_err(|error| refused(&error))?;
    Ok(pages::json(&json!({ "cursor": end.cursor.to_string(), "reason": end.reason.as_str() })))
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
