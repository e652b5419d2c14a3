//! A server of a hub on disk, in a process of its own: the test binary runs itself, with the options in an environment
//! variable.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::Read;
use std::path::PathBuf;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{any, get, post, put};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidings::disk::{DiskError, DiskHub};
use tidings::endpoint::RefusalResponse;
use tidings::runs::Runs;
use tidings::{EndReason, Endpoint, EndpointBuilder, Event, LocalHub, PublishError, Retention, SubscribeRequest};
use tokio::signal::unix::{SignalKind, signal};
use tower_service::Service;

use crate::files::Directory;
use crate::load::text_of;
use crate::process::Server;

/// Variable with the options.
pub(crate) const VARIABLE: &str = "TIDINGS_DISK_SERVER";
/// Test in which a process serves.
pub(crate) const TEST: &str = "server::server_ends_with_its_input";
/// Start of the line with the address, or with the error of the open.
pub(crate) const REPORT: &str = "server: ";
/// Exit code after an error of the open.
pub(crate) const REFUSED: i32 = 3;
/// Time in which clients are sent away at the end.
const DRAIN: Duration = Duration::from_millis(200);
/// Time between two events of a run.
const PACE: Duration = Duration::from_millis(2);

/// Options of a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Options {
    pub(crate) directory: PathBuf,
    /// Events of a topic that are retained on disk.
    pub(crate) retain: usize,
    /// Events of a topic that are retained in memory.
    pub(crate) memory: usize,
}

impl Options {
    pub(crate) fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), retain: 10_000_000, memory: 1_000 }
    }
}

/// Serves until SIGTERM, or until the input ends. Reports the address, or the error of the open, in one line.
fn serve(options: &Options) -> i32 {
    let retain = |count| Retention::count(count).bytes(usize::MAX);
    let memory = LocalHub::builder().retain(retain(options.memory));
    let hub = DiskHub::builder(&options.directory).retain(retain(options.retain)).memory(memory);
    let hub = match hub.retain_for("keyed/*", Retention::latest_per_key()).runs("runs/*").open() {
        Ok(hub) => hub,
        Err(error) => {
            println!("\n{REPORT}{}", json!({ "error": error.to_string(), "kind": kind(&error) }));
            return REFUSED;
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(hub.clone()));
    // Requests that are left hold the hub.
    drop(runtime);
    hub.close();
    0
}

async fn run(hub: DiskHub) {
    // The input ends with the process that started this one.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
    let events = EndpointBuilder::from_fn(&hub, async |request| Ok(request.subscribe_to(request.topics())))
        .drain_timeout(DRAIN)
        .build();
    let app = Router::new()
        .route("/publish", post(publish_lines))
        .route("/publish/{topic}", post(publish))
        .route("/keyed/{topic}/{key}", put(set).delete(remove))
        .route("/finish/{topic}", post(finish))
        .route("/cursor", get(async |State(hub): State<DiskHub>| hub.cursor().to_string()))
        .with_state(hub.clone())
        .route("/runs/{id}", post(start))
        .route("/events", any(follow))
        .with_state((events.clone(), Runs::new(&hub)));
    let listener = tidings::server::bind("127.0.0.1:0").await.unwrap();
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let loss = hub.loss().map(|loss| format!("{loss:?}"));
    println!("\n{REPORT}{}", json!({ "address": listener.local_addr().unwrap(), "loss": loss }));
    let terminated = async move { terminate.recv().await };
    tidings::server::serve(listener, app).with_graceful_shutdown(events.drain_on(terminated)).await.unwrap();
}

async fn publish(State(hub): State<DiskHub>, Path(topic): Path<String>, text: String) -> Result<String, PublishError> {
    Ok(hub.publish(topic, text).await?.cursor().unwrap().to_string())
}

async fn set(
    State(hub): State<DiskHub>,
    Path((topic, key)): Path<(String, String)>,
    text: String,
) -> Result<String, PublishError> {
    let event = Event::text(text).with_key(&key).unwrap();
    Ok(hub.publish(format!("keyed/{topic}"), event).await?.cursor().unwrap().to_string())
}

async fn remove(
    State(hub): State<DiskHub>,
    Path((topic, key)): Path<(String, String)>,
) -> Result<String, PublishError> {
    let event = Event::removal(&key).unwrap();
    Ok(hub.publish(format!("keyed/{topic}"), event).await?.cursor().unwrap().to_string())
}

async fn finish(State(hub): State<DiskHub>, Path(topic): Path<String>) -> Result<StatusCode, PublishError> {
    hub.finish(topic, EndReason::Done).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Starts a run of numbered events, one every 2 ms, up to the number in the body. Answers whether the run is new.
async fn start(State((_, runs)): State<(Endpoint, Runs)>, Path(id): Path<String>, last: String) -> String {
    let last: u64 = last.parse().unwrap();
    let stream = || {
        let ticks = futures_util::stream::unfold(tokio::time::interval(PACE), async |mut ticks| {
            ticks.tick().await;
            Some(((), ticks))
        });
        futures_util::stream::iter(1..=last).zip(ticks).map(|(number, ())| text_of(number))
    };
    runs.start(format!("runs/{id}"), stream).unwrap().is_new().to_string()
}

/// Answers with the events of topics, or of a run.
async fn follow(
    State((mut events, runs)): State<(Endpoint, Runs)>,
    request: Request,
) -> Result<Response<tidings::Body>, RefusalResponse> {
    let (parts, body) = request.into_parts();
    let subscribe = SubscribeRequest::read(&parts)?;
    match subscribe.topics() {
        [topic] if topic.as_str().starts_with("runs/") => {
            let reader = runs.subscribe(topic, &subscribe)?;
            Ok(events.respond(parts, reader).await)
        }
        _ => Ok(events.call(Request::from_parts(parts, body)).await.unwrap_or_else(|never| match never {})),
    }
}

/// Publishes each line: a topic, a space and a text. All publishes are in flight at once. The response has a line for each,
/// with its cursor or its error, as soon as the publish has ended.
async fn publish_lines(State(hub): State<DiskHub>, lines: String) -> impl IntoResponse {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let lines = lines.lines().filter_map(|line| line.split_once(' '));
        let mut publishes: Vec<_> = lines.map(|(topic, text)| Box::pin(hub.publish(topic, text.to_owned()))).collect();
        let mut done = Vec::with_capacity(publishes.len());
        poll_fn(|cx| {
            done.extend(publishes.iter_mut().map(|publish| publish.as_mut().poll(cx)));
            Poll::Ready(())
        })
        .await;
        for (publish, done) in publishes.into_iter().zip(done) {
            let result = match done {
                Poll::Ready(result) => result,
                Poll::Pending => publish.await,
            };
            let line = match result {
                Ok(receipt) => receipt.cursor().map_or("queued\n".to_owned(), |cursor| format!("{cursor}\n")),
                Err(error) => format!("error {error}\n"),
            };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let lines = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
    Body::from_stream(lines.map(|line| Ok::<_, Infallible>(Bytes::from(line))))
}

/// Returns the name of an error's variant.
fn kind(error: &DiskError) -> &'static str {
    match error {
        DiskError::InUse { .. } => "InUse",
        DiskError::Full(_) => "Full",
        DiskError::ReadOnly(_) => "ReadOnly",
        DiskError::Damaged { .. } => "Damaged",
        DiskError::Closed => "Closed",
        DiskError::Io(_) => "Io",
        _ => "unknown",
    }
}

#[test]
fn server_ends_with_its_input() {
    if let Some(options) = std::env::var_os(VARIABLE) {
        let options: Options = serde_json::from_str(options.to_str().unwrap()).unwrap();
        std::process::exit(serve(&options));
    }
    crate::row("server_ends_with_its_input", async |_| {
        let directory = Directory::new();
        let mut server = Server::start(&Options::new(&directory.0)).await.unwrap();
        let cursor = server.publish("a", "first").await.unwrap();
        assert_eq!(server.cursor().await, cursor);
        let report: Value = json!(server.address);
        assert!(report.is_string());
        server.close_input();
        assert_eq!(server.exit().await.code(), Some(1));
    });
}
