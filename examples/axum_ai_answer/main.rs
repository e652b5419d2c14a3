//! The answer of a model, token by token, that survives a reload and is followed from a second tab.
//!
//! ```text
//! cargo run --example axum_ai_answer --features full
//!
//! open http://127.0.0.1:3000
//!
//! curl -N -b user=ann http://127.0.0.1:3000/runs/1 -d 'What is a hub?'
//! curl -N -b user=ann http://127.0.0.1:3000/runs/1 -H 'accept: text/event-stream'
//! curl    -b user=ann http://127.0.0.1:3000/runs/1 -X DELETE
//! curl -i -b user=bob http://127.0.0.1:3000/runs/1
//! ```
//!
//! On the page, press Ask and reload in the middle of the answer: it goes on at the same token. The link opens a second tab
//! that follows. Stop ends the answer in both.
//!
//! The first curl starts the answer and prints its tokens. Cut it with Ctrl-C: the answer goes on. The second prints the
//! tokens from the first on, then `event: tidings.end`. The third stops the answer. The fourth prints 410: another user has
//! no run of that name. A second POST to the same path joins the answer, and does not ask the model again: `GET /asked` is
//! the number of times that it was asked. Five minutes after the end, or after a restart, the same POST asks the model again. A
//! client that repeats a cut POST then gets a gap and the whole new answer, and the page clears its text at a gap.
//!
//! With the feature `disk` and a directory the answers outlive the process. End it in the middle of an answer and start it
//! again: the page gets the rest that is stored, and the end `failed`; an answer that was complete is complete.
//!
//! ```text
//! cargo run --example axum_ai_answer --features full,disk -- 127.0.0.1:3000 /tmp/answers
//! ```

mod model;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::response::{Html, Response};
use axum::routing::get;
use model::Model;
use tidings::endpoint::RefusalResponse;
use tidings::runs::{RunHub, Runs};
use tidings::server::{bind, serve};
use tidings::{Endpoint, LocalHub, Rejection, SubscribeRequest, Topic};
use tokio::signal::ctrl_c;

#[derive(Clone)]
struct App {
    events: Endpoint,
    runs: Runs,
    model: Model,
}

type Answer = Result<Response<tidings::Body>, RefusalResponse>;

/// Asks the model, unless the run exists, and answers with the run's stream.
async fn ask(State(app): State<App>, Path(id): Path<String>, parts: Parts, question: String) -> Answer {
    app.events.check(&parts)?; // a page of another site starts nothing
    let run = app.runs.start(topic(&parts, &id)?, || app.model.answer(&question))?;
    let reader = run.subscribe(&SubscribeRequest::read(&parts)?)?;
    Ok(app.events.respond(parts, reader).await)
}

/// Answers with the run's stream, from the first token or after the client's cursor.
async fn follow(State(app): State<App>, Path(id): Path<String>, parts: Parts) -> Answer {
    let reader = app.runs.subscribe(topic(&parts, &id)?, &SubscribeRequest::read(&parts)?)?;
    Ok(app.events.respond(parts, reader).await)
}

async fn stop(State(app): State<App>, Path(id): Path<String>, parts: Parts) -> Result<StatusCode, RefusalResponse> {
    app.events.check(&parts)?;
    app.runs.stop(topic(&parts, &id)?);
    Ok(StatusCode::NO_CONTENT)
}

/// Returns the topic of a run of the user. A user names only runs of their own.
fn topic(parts: &Parts, id: &str) -> Result<Topic, Rejection> {
    Ok(Topic::from_segments(["runs", user(parts).ok_or(Rejection::Unauthorized)?, id])?)
}

/// Returns the user of a request. A cookie that the client can choose stands for your authentication.
fn user(parts: &Parts) -> Option<&str> {
    // HTTP/2 clients may send each cookie in a header of its own.
    let cookies = parts.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|value| value.split("; ")).find_map(|cookie| cookie.strip_prefix("user="))
}

/// Returns the hub of the answers: on disk if the second argument is a directory.
fn hub() -> std::io::Result<RunHub> {
    #[cfg(feature = "disk")]
    if let Some(directory) = std::env::args().nth(2) {
        return Ok(RunHub::from(&tidings::disk::DiskHub::builder(directory).runs("runs/**").open()?));
    }
    Ok(RunHub::from(&LocalHub::new()))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let runs = Runs::builder(hub()?).on_failure(|failure| eprintln!("{failure}")).build();
    let app = App { events: Endpoint::new(()), runs: runs.clone(), model: Model::default() };
    let events = app.events.clone();
    let page = ([(SET_COOKIE, "user=ann; HttpOnly; SameSite=Strict")], Html(include_str!("page.html")));
    let router = Router::new()
        .route("/", get(page))
        .route("/asked", get(async |State(app): State<App>| app.model.asked().to_string()))
        .route("/runs/{id}", get(follow).post(ask).delete(stop))
        .with_state(app);
    let listener = bind(std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("open http://{}", listener.local_addr()?);
    serve(listener, router).with_graceful_shutdown(events.drain_on(runs.drain_on(ctrl_c()))).await
}
