//! `GET /stats`.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::Relay;

/// What the hub holds, and who is listening.
pub(crate) async fn stats(State(relay): State<Relay>) -> Json<Value> {
    let hub = relay.hub.stats();
    Json(json!({
        "cursor": relay.hub.cursor().to_string(),
        "hub": {
            "published": hub.published,
            "topics": hub.topics,
            "tombstones": hub.tombstones,
            "subscriptions": hub.subscriptions,
            "retained": hub.retained,
            "retained_bytes": hub.retained_bytes,
            "expired": hub.expired,
        },
        "sessions": relay.events.sessions(),
    }))
}
