//! Server of the clients that `run.mjs` starts: ends their streams, cuts them, and counts their requests.
//!
//! ```text
//! cargo run --example clients --features full -- tests/clients
//! ```
//!
//! | request | answer |
//! |---|---|
//! | `GET /events/{scenario}/{client}` | the events of the topic `{scenario}/{client}`, by the crate's endpoint |
//! | `POST /events/{scenario}/{client}` | the same events, by `Endpoint::respond` |
//! | `GET /page/{scenario}/{client}` | `pages/page.html`, which runs that client |
//! | `GET /files/{path}` | a file of the folder |
//! | `POST /seen/{scenario}/{client}` | 204; an entry in the log |
//! | `GET /log` | the log: a JSON array |
//!
//! The first request for a topic starts its [script](script).

#[path = "server/cut.rs"]
mod cut;
#[path = "server/files.rs"]
mod files;
#[path = "server/log.rs"]
mod log;
#[path = "server/script.rs"]
mod script;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::UPGRADE;
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, get_service, post};
use serde_json::{Value, json};
use tidings::endpoint::RefusalResponse;
use tidings::{Endpoint, EndpointBuilder, LocalHub, Rejection, SubscribeRequest, Topic};
use tokio::net::TcpListener;

use log::Log;

/// Time after which clients reconnect, before the end of their topic.
const RETRY: Duration = Duration::from_secs(1);

struct Server {
    hub: LocalHub,
    events: Endpoint,
    log: Log,
    folder: PathBuf,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).map_or_else(|| PathBuf::from("tests/clients"), PathBuf::from);
    let hub = LocalHub::new();
    let events = EndpointBuilder::from_fn(&hub, async |request| Ok(request.subscribe_to([topic_of(request.path())?])))
        .retry(RETRY..=RETRY)
        .short_poll_interval(RETRY..=RETRY)
        .build();
    let server = Arc::new(Server { hub, events: events.clone(), log: Log::default(), folder });
    let app = Router::new()
        .route("/events/{scenario}/{client}", get_service(events).post(answer))
        .layer(from_fn_with_state(server.clone(), follow))
        .route("/page/{scenario}/{client}", get(files::page))
        .route("/files/{*path}", get(files::file))
        .route("/seen/{scenario}/{client}", post(seen))
        .route("/log", get(async |State(server): State<Arc<Server>>| server.log.to_json()))
        .with_state(server);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    tidings::server::serve(listener, app).await
}

/// Returns the topic of a path: what follows `/events/`.
fn topic_of(path: &str) -> Result<Topic, Rejection> {
    let name = path.strip_prefix("/events/").ok_or(Rejection::NotFound)?;
    Topic::new(name).map_err(|_| Rejection::NotFound)
}

/// Answers a POST with a stream.
async fn answer(State(server): State<Arc<Server>>, parts: Parts) -> Result<Response<tidings::Body>, RefusalResponse> {
    server.events.check(&parts)?;
    let request = SubscribeRequest::read(&parts)?;
    let subscription = server.hub.subscribe(request.subscribe_to([topic_of(parts.uri.path())?]))?;
    Ok(server.events.respond(parts, subscription).await)
}

/// Logs a request for events with the status of its response, and starts the script of its topic.
async fn follow(State(server): State<Arc<Server>>, mut request: Request, next: Next) -> Response {
    let Some(topic) = request.uri().path().strip_prefix("/events/").map(str::to_owned) else {
        return next.run(request).await;
    };
    let entry = server.log.push("request", &topic, described(&request));
    let number = server.log.count("request", &topic);
    let script = script::Script::of(&topic, request.uri().query().unwrap_or_default());
    if script.begins_at_the_end() {
        script::at_the_end(&server, &topic, &mut request);
    }
    tokio::spawn(script::on_request(server.clone(), topic.clone(), script.clone(), number));
    let response = next.run(request).await;
    server.log.add(entry, "status", response.status().as_u16().into());
    match script.cuts() && number == 1 {
        true => cut::after_greeting(response, server, topic, script),
        false => response,
    }
}

fn described(request: &Request) -> Value {
    let id = request.headers().get("last-event-id");
    json!({
        "method": request.method().as_str(),
        "query": request.uri().query(),
        "lastEventId": id.map(|id| String::from_utf8_lossy(id.as_bytes())),
        "upgrade": request.headers().contains_key(UPGRADE),
    })
}

/// Logs what a client reports.
async fn seen(
    State(server): State<Arc<Server>>,
    Path((scenario, client)): Path<(String, String)>,
    body: String,
) -> StatusCode {
    let report = serde_json::from_str(&body).unwrap_or(Value::String(body));
    server.log.push("seen", &format!("{scenario}/{client}"), report);
    StatusCode::NO_CONTENT
}
