//! `GET /stats`.

use serde_json::{Map, json};
use tidings::{SessionEnd, Transport};

use crate::Relay;
use crate::pages::{self, Page};

/// Returns the counters of the hub and of the endpoint.
pub(crate) fn stats(relay: &Relay) -> Page {
    let ((part, hub), events) = (relay.hub.stats(), relay.events.stats());
    let sessions = Transport::ALL.iter().map(|&each| (each.as_str().to_owned(), json!(events.sessions_of(each))));
    let left = SessionEnd::ALL.iter().map(|&why| (format!("{why:?}").to_lowercase(), json!(events.left_for(why))));
    pages::json(&json!({
        "cursor": relay.hub.cursor().to_string(),
        part: hub,
        "endpoint": {
            "sessions": Map::from_iter(sessions),
            "joined": events.joined,
            "left": Map::from_iter(left),
            "subscribed": events.subscribed,
            "refused_origin": events.refused_origin,
            "refused_publisher": events.refused_publisher,
            "refused_busy": events.refused_busy,
            "refused_request": events.refused_request,
            "refused_internal": events.refused_internal,
            "ignored_messages": events.ignored_messages,
            "stalled": events.stalled,
            "bytes": events.bytes,
        },
    }))
}
