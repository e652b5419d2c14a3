//! Long polling.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use futures_util::stream::StreamExt;
use tokio::time::timeout;

use super::hub::Hub;

/// Returns the wait that the client requests (RFC 7240 §4.3). Default: none.
pub(super) fn wait(headers: &HeaderMap) -> Duration {
    let prefer = headers.get("prefer").and_then(|value| value.to_str().ok());
    let seconds = prefer.and_then(|prefer| prefer.strip_prefix("wait=")).and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}

/// Answers with the messages after the cursor as soon as there is one; without a cursor, with the messages from now on.
pub(super) async fn answer(hub: &Hub, topics: &[&str], cursor: Option<&str>, wait: Duration) -> impl IntoResponse {
    // Subscribed before the first look, or a message between the look and the wait would be missed.
    let mut coming = hub.follow(topics);
    let cursor = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or_else(|| hub.last());
    let (mut last, mut messages) = hub.since(topics, cursor);
    if messages.is_empty() {
        drop(timeout(wait, coming.next()).await);
        (last, messages) = hub.since(topics, cursor);
    }
    let events: Vec<&str> = messages.iter().map(|message| message.line.trim_end()).collect();
    ([(CONTENT_TYPE, "application/json")], format!(r#"{{"cursor":"{last}","events":[{}]}}"#, events.join(",")))
}
