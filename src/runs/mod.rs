//! Runs: answers that outlive their requests, such as the answer of a model, an export or a build.
//!
//! A *run* is a finite stream of events with a topic of its own. A task that belongs to no request polls the stream and
//! publishes its items. A reader gets the run from its first event, or from its cursor, then live events, then the end, over
//! each transport. A page that is reloaded in the middle of an answer therefore loses no token, and the model is asked once.
//!
//! One exception: a raw WebSocket (without `tidings.v1`) of a run that has ended gets no events, only the close with 1000
//! after 1 s. Raw clients have no cursor, and many reconnect after every close: each connection would get the whole run
//! again. With a cursor, `?last=`, `?start=` or `?session=` in its request it gets the events.
//!
//! # Example
//!
//! A POST starts the run and is answered with its stream. A GET follows it, and a DELETE stops it. The example
//! `axum_ai_answer` in the repository is this server with a page.
//!
//! ```
//! # #[cfg(feature = "full")] mod app {
//! use axum::extract::{Path, State};
//! use axum::http::{StatusCode, request::Parts};
//! use axum::{Router, response::Response, routing::get};
//! use futures_core::Stream;
//! use tidings::endpoint::RefusalResponse;
//! use tidings::runs::Runs;
//! use tidings::{Endpoint, LocalHub, Rejection, SubscribeRequest, Topic};
//!
//! #[derive(Clone)]
//! struct App {
//!     events: Endpoint,
//!     runs: Runs,
//! }
//!
//! async fn ask(
//!     State(app): State<App>,
//!     Path(id): Path<String>,
//!     parts: Parts,
//!     question: String,
//! ) -> Result<Response<tidings::Body>, RefusalResponse> {
//!     app.events.check(&parts)?; // a page of another site starts nothing
//!     let run = app.runs.start(topic(&parts, &id)?, || answer(&question))?; // or joins it
//!     let reader = run.subscribe(&SubscribeRequest::read(&parts)?)?;
//!     Ok(app.events.respond(parts, reader).await)
//! }
//!
//! async fn follow(
//!     State(app): State<App>,
//!     Path(id): Path<String>,
//!     parts: Parts,
//! ) -> Result<Response<tidings::Body>, RefusalResponse> {
//!     let reader = app.runs.subscribe(topic(&parts, &id)?, &SubscribeRequest::read(&parts)?)?; // 410 if there is none
//!     Ok(app.events.respond(parts, reader).await)
//! }
//!
//! async fn stop(State(app): State<App>, Path(id): Path<String>, parts: Parts) -> Result<StatusCode, RefusalResponse> {
//!     app.events.check(&parts)?;
//!     app.runs.stop(topic(&parts, &id)?);
//!     Ok(StatusCode::NO_CONTENT)
//! }
//!
//! /// Returns the topic of a run. It contains the user, so a user reaches only runs of their own.
//! fn topic(parts: &Parts, id: &str) -> Result<Topic, Rejection> {
//!     let user = parts.headers.get("x-user").and_then(|user| user.to_str().ok()); // set by your authentication
//!     Ok(Topic::from_segments(["runs", user.ok_or(Rejection::Unauthorized)?, id])?)
//! }
//!
//! /// Asks the model.
//! fn answer(question: &str) -> impl Stream<Item = Result<String, std::io::Error>> + Send + use<> {
//!     let _ = question;
//! #   struct Empty;
//! #   impl Stream for Empty {
//! #       type Item = Result<String, std::io::Error>;
//! #       fn poll_next(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<Self::Item>> {
//! #           std::task::Poll::Ready(None)
//! #       }
//! #   }
//! #   Empty
//!     // … the stream of your model's client
//! }
//!
//! pub fn router() -> Router {
//!     let runs = Runs::builder(&LocalHub::new()).on_failure(|failure| eprintln!("{failure}")).build();
//!     let app = App { events: Endpoint::new(()), runs };
//!     Router::new().route("/runs/{id}", get(follow).post(ask).delete(stop)).with_state(app)
//! }
//! # }
//! # #[cfg(feature = "full")]
//! # let _router = app::router();
//! ```
//!
//! Without HTTP, with a stream that is ready at once:
//!
//! ```
//! use std::pin::Pin;
//! use std::task::{Context, Poll};
//! use futures_core::Stream;
//! use tidings::runs::{RunError, Runs};
//! use tidings::subscriber::{Delivery, SubscriberExt};
//! use tidings::{EndReason, LocalHub, Start};
//!
//! /// Answer of a model, token by token.
//! struct Answer(std::vec::IntoIter<&'static str>);
//!
//! impl Stream for Answer {
//!     type Item = Result<String, std::io::Error>;
//!
//!     fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
//!         Poll::Ready(self.0.next().map(|token| Ok(token.to_owned())))
//!     }
//! }
//!
//! # #[cfg(feature = "tokio")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runs = Runs::new(&LocalHub::new());
//! let run = runs.start("runs/ann/7", || Answer(vec!["for", "ty", "-two"].into_iter()))?;
//! assert!(run.is_new());
//!
//! // A retried request joins the run. Its closure is not called.
//! let retried = runs.start("runs/ann/7", || -> Answer { unreachable!("the run exists") })?;
//! assert!(!retried.is_new());
//!
//! let (mut reader, mut text) = (runs.subscribe_from("runs/ann/7", Start::Oldest)?, String::new());
//! let end = loop {
//!     match reader.next().await {
//!         Delivery::Events(batch) => batch.iter().for_each(|token| text += token.event.as_str().unwrap_or_default()),
//!         Delivery::TopicEnd(end) => break end,
//!         other => panic!("unexpected {other:?}"),
//!     }
//! };
//! assert_eq!((text.as_str(), end.reason), ("forty-two", EndReason::Done));
//!
//! assert!(matches!(runs.subscribe_from("runs/ann/8", Start::Oldest), Err(RunError::Gone(_))));
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tokio"))]
//! # fn main() {}
//! ```
//!
//! # End of a run
//!
//! | cause | reason for readers | to [`on_failure`](RunsBuilder::on_failure) |
//! |---|---|---|
//! | the stream has ended | `done` | |
//! | [`Runs::stop`] | `stopped` | |
//! | no reader for the time of [`stop_when_unwatched`](RunsBuilder::stop_when_unwatched), if it is set | `stopped` | |
//! | the stream yields an error | `failed` | [`Error`](FailureCause::Error) |
//! | the closure, the stream or its drop panics | `failed` | [`Panic`](FailureCause::Panic) |
//! | too many events or bytes, or the [lifetime](RunsBuilder::lifetime) is over | `failed` | [`Limit`](FailureCause::Limit) |
//! | the hub accepts no event: it is closed, its memory or disk is full, or the event is too large | `failed` | [`Hub`](FailureCause::Hub) |
//! | a [drain](Runs::drain) is over | `failed` | [`Drain`](FailureCause::Drain) |
//! | the runtime ends, or the task is aborted | `failed` | [`Dropped`](FailureCause::Dropped) |
//!
//! The first cause counts. Events that the stream yielded before an error, a panic or a limit are published first. The text
//! of an error or a panic goes to the operator only. Readers get a [`TopicEnd`](crate::TopicEnd), see
//! [`LocalHub::finish`](crate::LocalHub::finish), and the response ends cleanly. An `EventSource` that reconnects then gets
//! 204 and stays away.
//!
//! A disconnect is no stop: a reader that leaves stops nothing. [`Runs::stop`] ends the topic at once. The task drops the
//! stream when it is polled next, so a stream that blocks its thread is dropped when it returns.
//!
//! # After the end
//!
//! The history is kept for the [linger](RunsBuilder::linger) time, 5 minutes by default. Until then `start` with the same
//! topic joins the ended run, and a client gets the whole answer or its rest. After that the topic is free: `subscribe`
//! returns [`RunError::Gone`], and `start` starts a new run: a POST that is repeated this late starts the work again. While a connected reader has not received the end, `start`
//! returns [`RunError::Ended`]. Use a topic for each answer, such as one with a random id from the page.
//!
//! # Restart and shutdown
//!
//! Runs of a [`LocalHub`](crate::LocalHub) are in the memory of the process. After a restart every run is unknown, so a client
//! that reconnects gets 410 in place of a stream that stays silent for ever. The page can show what it has, and offer to ask
//! again. A POST that is repeated after a restart starts a new run. Its `Last-Event-ID` is of another epoch, so the client gets
//! a gap with the reason `epoch`, then the whole new answer. A page clears its text at a gap.
//!
//! Runs of a `DiskHub` (feature `disk`) outlive the process. [`Runs::new`] takes a reference to it, and
//! `DiskHubBuilder::runs` the pattern of their topics:
//!
//! ```
//! # #[cfg(all(feature = "disk", feature = "tokio"))] {
//! use tidings::disk::DiskHub;
//! use tidings::runs::Runs;
//!
//! # let directory = std::env::temp_dir().join(format!("tidings-doc-runs-{}", std::process::id()));
//! # let path = &directory;
//! let hub = DiskHub::builder(path).runs("runs/**").open()?;
//! let runs = Runs::new(&hub);
//! # drop(runs);
//! # hub.close();
//! # std::fs::remove_dir_all(&directory).ok();
//! # }
//! # #[cfg(all(feature = "disk", feature = "tokio"))]
//! # Ok::<(), tidings::disk::DiskError>(())
//! ```
//!
//! - An event reaches readers when it is on disk. Until then the stream is not polled. A stop and its reader's end wait for the
//!   disk, too; the call does not.
//! - A run that has ended is read and joined after a restart, until its linger time is over. The linger time counts from the end,
//!   by the clock of the system.
//! - A run that was live has the end `failed` after a restart: a crash takes its stream. Its readers get the rest of its stored
//!   events and that end, and a POST that is repeated joins it. The page can show what it has, and offer to ask again with a new
//!   topic. A run without a stored event is unknown.
//! - If the disk refuses an event, the run fails. An end that the disk refuses is stored later: the task tries once a second,
//!   and each [`subscribe`](Runs::subscribe) of the run. If the task was dropped, each [`start`](Runs::start) or `subscribe` of any
//!   run tries, at most once a second.
//! - The history of a run that ended before a restart is dropped by the first call of [`start`](Runs::start) or
//!   [`subscribe`](Runs::subscribe) after its linger time. Use a linger time of at most 24 hours: a hub on disk remembers an end
//!   for that long, and a run without it has failed at the next open.
//!
//! At a shutdown `events.drain_on(runs.drain_on(ctrl_c()))` waits for live runs, see [`Runs::drain_on`]. Without it the
//! endpoint ends the readers' sessions while their runs are live, and the runs are lost with the process.
//!
//! # Limits and back-pressure
//!
//! [`RunsBuilder`] has the table of limits. All of them are for one run or for all runs together: the application limits the
//! runs of one user, see [`RunsBuilder::max_live`]. Create one [`Runs`] for a hub, and clone it.
//!
//! A publish never waits for a reader: the run's topic keeps all events of the run,
//! in memory or on disk, whatever the hub's own [`Retention`](crate::Retention) is, and a slow reader reads on from there. If the hub's byte budget
//! evicts events of a run, readers get a [`Gap`](crate::Gap) in their place. Items that are ready at once are published as
//! one batch of up to 64 events, with one wake of each reader. After a batch other tasks run.
//!
//! # Other runtimes than tokio
//!
//! Set [`RunsBuilder::timer`] and [`RunsBuilder::spawn`], or take the task from [`Runs::start_unspawned`] and poll it.

mod builder;
mod catch;
mod drain;
mod end;
mod entry;
mod failure;
mod info;
mod item;
mod limits;
mod lock;
mod run;
mod run_hub;
#[expect(clippy::module_inception, reason = "the type gives the folder its name")]
mod runs;
mod shared;
mod source;
mod spawner;
mod subscription;
mod table;
mod task;

pub use self::builder::RunsBuilder;
pub use self::failure::{FailureCause, RunFailure};
pub use self::info::RunInfo;
pub use self::item::RunItem;
pub use self::run::Run;
pub use self::run_hub::RunHub;
pub use self::runs::Runs;
pub use self::subscription::RunSubscription;
pub use self::task::RunTask;
pub use crate::contract::RunError;
