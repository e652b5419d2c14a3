//! The server of the tests of the browser client, client.mjs and client.test.mjs: an endpoint of any topics, whose history is
//! on disk, so that its clients miss nothing when it is restarted.
//!
//! ```text
//! cargo run --example browser_client --features full,disk -- ADDRESS DIRECTORY
//! ```
//!
//! `POST /publish/{topic}` publishes its body, and `POST /finish/{topic}` ends the topic. `POST /cut` ends all connections.
//! It ends at the end of its standard input. `/tidings.js` is the client. A message to `/events` is answered with its own text; `no` is rejected.

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Html;
use axum::routing::{get, post};
use tidings::disk::DiskHub;
use tidings::endpoint::browser_client;
use tidings::engine::HistorySubscription;
use tidings::server::{bind, serve};
use tidings::{Accepted, EndReason, Endpoint, Event, Message, Publisher, Rejection, Retention, SubscribeRequest};

/// Longest silence of a stream, as short as an endpoint allows in whole seconds.
const HEARTBEAT: Duration = Duration::from_secs(1);

type App = State<(DiskHub, Endpoint)>;

struct Echo(DiskHub);

impl Publisher for Echo {
    type Subscriber = HistorySubscription;

    async fn subscribe(&self, request: SubscribeRequest) -> Result<Accepted<HistorySubscription>, Rejection> {
        if request.topics().iter().any(|topic| topic.as_str() == "forbidden") {
            return Err(Rejection::Forbidden);
        }
        Ok(Accepted::new(self.0.subscribe(request.subscribe_to(request.topics().to_vec()))?))
    }

    async fn receive(&self, _: &SubscribeRequest, message: Message) -> Result<Option<Event>, Rejection> {
        match message.as_text() {
            Some("no") => Err(Rejection::Forbidden),
            Some(text) => Ok(Some(Event::text(text))),
            None => Ok(None),
        }
    }
}

#[derive(serde::Deserialize)]
struct Key {
    key: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(directory)) = (arguments.next(), arguments.next()) else {
        return Err("usage: browser_client ADDRESS DIRECTORY".into());
    };
    let hub = DiskHub::builder(directory).retain_for("state/*", Retention::latest_per_key()).open()?;
    let events = Endpoint::builder(Echo(hub.clone()))
        .keep_alive(HEARTBEAT)
        .ping(HEARTBEAT, Duration::from_secs(10))
        .short_poll_interval(Duration::from_millis(100)..=Duration::from_millis(200))
        .retry(Duration::from_millis(300)..=Duration::from_millis(600))
        .drain_timeout(Duration::from_secs(1))
        .build();
    let app = Router::new()
        .route("/", get(async || Html("<!doctype html><title>client</title>")))
        .route("/publish/{*topic}", post(publish))
        .route("/finish/{*topic}", post(finish))
        .route("/cut", post(cut))
        .route("/sessions", get(sessions))
        .route_service("/events", events.clone())
        .route_service("/tidings.js", browser_client())
        .with_state((hub.clone(), events.clone()));
    // A test keeps the standard input open: the server ends with it.
    std::thread::spawn(|| {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
        std::process::exit(0);
    });
    let listener = bind(&address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    serve(listener, app).with_graceful_shutdown(events.drain_on(tokio::signal::ctrl_c())).await?;
    hub.close();
    Ok(())
}

async fn publish(
    State((hub, _)): App,
    Path(topic): Path<String>,
    Query(Key { key }): Query<Key>,
    text: String,
) -> Result<(), Rejection> {
    let event = key.iter().try_fold(Event::text(text), |event, key| event.with_key(key));
    hub.publish(topic, event.map_err(|error| Rejection::invalid(error.to_string()))?).await?;
    Ok(())
}

async fn finish(State((hub, _)): App, Path(topic): Path<String>) -> Result<(), StatusCode> {
    hub.finish(topic, EndReason::Done).await.map(drop).map_err(|_| StatusCode::CONFLICT)
}

async fn cut(State((_, events)): App) {
    events.disconnect_where(|_| true);
}

async fn sessions(State((_, events)): App) -> String {
    events.session_count().to_string()
}
