use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::{HeaderName, HeaderValue};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tidings::{Endpoint, PublishError, Topic};

use crate::assets;
use crate::ledger::Ledger;
use crate::load::{Load, Pace};
use crate::process::{COMMAND, Process, Restart};
use crate::stage::{self, Stage};

/// State of the page's controls.
#[derive(Clone)]
pub(crate) struct Lab {
    pub(crate) stage: Stage,
    pub(crate) ledger: Ledger,
    pub(crate) load: Load,
    pub(crate) log: Option<Topic>,
    /// Directory of the history, and the way to restart the process.
    pub(crate) process: Option<Process>,
}

impl Lab {
    /// Returns the topics of the page.
    fn topics(&self) -> impl Iterator<Item = &str> {
        stage::TOPICS.into_iter().chain(self.log.as_ref().map(Topic::as_str))
    }
}

/// Returns the routes of the events, the page, and the page's controls.
pub(crate) fn router(lab: Lab, events: Endpoint) -> Router {
    let page = assets::ASSETS.iter().fold(Router::new(), |router, &(path, kind, text)| {
        router.route(path, get(move || async move { assets::answer(kind, text) }))
    });
    page.route("/about", get(about))
        .route("/clock", get(clock))
        .route("/counters", get(counters))
        .route("/load", post(set_load))
        .route("/cut", post(cut))
        .route("/end", post(end))
        .route("/restart", post(restart))
        .route("/process", post(restart_process))
        .layer(map_response(add_security_headers))
        .layer(events.origin_layer())
        // The endpoint applies the same rules itself.
        .route_service("/events", events)
        .with_state(lab)
}

/// Returns the hosts that are answered. If any host were, another site could bind its own name to this address and read
/// the lab.
pub(crate) fn hosts(port: u16) -> [String; 2] {
    ["127.0.0.1", "localhost"].map(|name| format!("{name}:{port}"))
}

/// Answers with the topics and the load, which a page needs at its start.
async fn about(State(lab): State<Lab>) -> Json<Value> {
    let topics: Vec<_> = lab.topics().collect();
    let (log, load) = (lab.log.as_ref().map(Topic::as_str), load_now(&lab).await);
    let directory = lab.process.as_ref().map(|process| &process.directory);
    Json(json!({ "topics": topics, "log": log, "load": load, "epoch": epoch(&lab), "disk": directory }))
}

async fn clock(State(lab): State<Lab>) -> Json<Value> {
    Json(json!({ "t": lab.stage.now() }))
}

#[derive(Deserialize)]
struct Page {
    page: String,
}

/// Answers with the counters of a page's panels. The page polls for them, because events would go over the connections that
/// are counted, and each transport would count them differently.
async fn counters(State(lab): State<Lab>, Query(Page { page }): Query<Page>) -> Json<Value> {
    let (load, panels) = (load_now(&lab).await, lab.ledger.page(&page));
    Json(json!({ "load": load, "panels": panels, "epoch": epoch(&lab), "pid": std::process::id() }))
}

#[derive(Deserialize)]
struct NewLoad {
    rate: Option<u32>,
    size: Option<usize>,
}

async fn set_load(
    State(lab): State<Lab>,
    Query(NewLoad { rate, size }): Query<NewLoad>,
) -> Result<Json<Pace>, Response> {
    lab.load.set(rate, size).map(Json).map_err(|why| (StatusCode::BAD_REQUEST, why).into_response())
}

async fn cut(State(lab): State<Lab>, Query(Page { page }): Query<Page>) -> Json<Value> {
    Json(json!({ "cut": lab.ledger.cut(&page) }))
}

/// Ends every topic.
async fn end(State(lab): State<Lab>) -> Result<Json<Value>, PublishError> {
    lab.stage.finish(lab.topics()).await?;
    Ok(Json(json!({ "ended": lab.topics().count() })))
}

async fn restart(State(lab): State<Lab>) -> Json<Value> {
    lab.stage.restart().await;
    Json(json!({ "epoch": epoch(&lab) }))
}

#[derive(Deserialize)]
struct How {
    how: Restart,
}

/// Restarts the process of the server, which continues with the history on disk.
async fn restart_process(State(lab): State<Lab>, Query(How { how }): Query<How>) -> Result<Json<Value>, Response> {
    let Some(process) = &lab.process else {
        let why =
            format!("the history is in memory and would be lost; run the lab with its history on disk: {COMMAND}");
        return Err((StatusCode::CONFLICT, why).into_response());
    };
    process.restart(how);
    Ok(Json(json!({ "pid": std::process::id() })))
}

/// Returns the epoch of the current hub, as it is in cursors.
fn epoch(lab: &Lab) -> Option<String> {
    lab.stage.hub().cursor().to_string().split('.').next().map(str::to_owned)
}

async fn load_now(lab: &Lab) -> Value {
    let Pace { rate, size } = lab.load.pace();
    json!({ "rate": rate, "size": size, "n": lab.stage.count("load").await, "run": lab.stage.run() })
}

/// Adds headers: the page loads nothing from other origins. The two cross-origin headers give the browser's clock a
/// resolution of 5 µs instead of 100 µs.
async fn add_security_headers(mut response: Response) -> Response {
    const HEADERS: [(&str, &str); 5] = [
        (
            "content-security-policy",
            "default-src 'self'; img-src 'self' data:; connect-src 'self' ws:; frame-ancestors 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-embedder-policy", "require-corp"),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}
