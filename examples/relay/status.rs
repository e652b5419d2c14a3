//! `GET /stats`.

use serde_json::{Map, json};
use tidings::{SessionEnd, Transport};

use crate::Relay;
use crate::pages::{self, Page};

/// Returns the counters of the hub, of its directory and of the endpoint.
pub(crate) async fn stats(relay: &Relay) -> Page {
    let (hub, disk, events) = (relay.hub.stats(), relay.hub.disk_stats().await, relay.events.stats());
    let sessions = Transport::ALL.iter().map(|&each| (each.as_str().to_owned(), json!(events.sessions_of(each))));
    let left = SessionEnd::ALL.iter().map(|&why| (format!("{why:?}").to_lowercase(), json!(events.left_for(why))));
    pages::json(&json!({
        "cursor": relay.hub.cursor().to_string(),
        "hub": {
            "published": hub.published,
            "delivered": hub.delivered,
            "gaps": hub.gaps,
            "missed": hub.missed,
            "conflated": hub.conflated,
            "evicted": hub.evicted,
            "evicted_by_budget": hub.evicted_by_budget,
            "bytes": hub.bytes,
            "cached_bytes": hub.cached_bytes,
            "pinned_bytes": hub.pinned_bytes,
            "parked": hub.parked,
            "topics": hub.topics,
            "tombstones": hub.tombstones,
            "subscriptions": hub.subscriptions,
            "retained": hub.retained,
            "retained_bytes": hub.retained_bytes,
            "expired": hub.expired,
        },
        "disk": disk,
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
