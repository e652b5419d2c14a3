//! Routes, and the choice of the transport.

use std::io;
use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::hub::Hub;
use super::{chunked, poll, sse, websocket};

/// Level of tuning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::servers) enum Style {
    /// Defaults, and a flush for each message.
    Usual,
    /// `TCP_NODELAY`, a small read buffer for WebSockets, and one flush for all ready messages.
    Tuned,
}

/// State of all handlers.
#[derive(Clone, Debug)]
struct App {
    hub: Arc<Hub>,
    style: Style,
}

/// One line of `POST /publish`.
#[derive(Debug, Deserialize)]
struct Line {
    topic: String,
    data: String,
}

/// Serves until the process ends.
#[tokio::main]
pub(in crate::servers) async fn serve(listener: std::net::TcpListener, style: Style) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = Router::new()
        .route("/events", get(events))
        .route("/publish/{*topic}", post(publish))
        .route("/publish", post(publish_lines))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(App { hub: Arc::default(), style });
    match style {
        Style::Usual => axum::serve(listener, router).await,
        Style::Tuned => axum::serve(listener.tap_io(|socket| drop(socket.set_nodelay(true))), router).await,
    }
}

async fn events(
    State(app): State<App>,
    Query(query): Query<Vec<(String, String)>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    headers: HeaderMap,
) -> Response {
    let topics: Vec<&str> = query.iter().filter(|(name, _)| name == "topic").map(|(_, value)| value.as_str()).collect();
    let cursor = query.iter().find(|(name, _)| name == "cursor").map(|(_, value)| value.as_str());
    if topics.is_empty() {
        return (StatusCode::BAD_REQUEST, "name a topic: ?topic=…\n").into_response();
    }
    if let Ok(upgrade) = upgrade {
        return websocket::answer(upgrade, app.hub.follow(&topics), app.style);
    }
    match headers.get(header::ACCEPT).map_or(&b""[..], |accept| accept.as_bytes()) {
        b"text/event-stream" => sse::answer(app.hub.follow(&topics)).into_response(),
        b"application/x-ndjson" => chunked::answer(app.hub.follow(&topics)).into_response(),
        _ => poll::answer(&app.hub, &topics, cursor, poll::wait(&headers)).await.into_response(),
    }
}

async fn publish(State(app): State<App>, Path(topic): Path<String>, body: String) -> Json<Value> {
    let (id, subscribers) = app.hub.publish(&topic, &body);
    Json(json!({ "cursor": id.to_string(), "subscribers": subscribers }))
}

async fn publish_lines(State(app): State<App>, body: String) -> Result<Json<Value>, (StatusCode, String)> {
    let lines = body.lines().map(serde_json::from_str::<Line>).collect::<Result<Vec<_>, _>>();
    let lines = lines.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    for line in &lines {
        app.hub.publish(&line.topic, &line.data);
    }
    Ok(Json(json!({ "published": lines.len() })))
}
