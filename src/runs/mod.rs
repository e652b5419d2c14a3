//! Runs: answers that outlive their requests, such as the answer of a model, an export or a build.
//!
//! A *run* is a finite stream of events with a topic of its own. A task that belongs to no request polls the stream and
//! publishes its items. A reader gets the run from its first event, or from its cursor, then live events, then the end, over
//! each transport. A page that is reloaded in the middle of an answer therefore loses no token, and the model is asked once.
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

mod builder;
mod catch;
mod drain;
mod entry;
mod failure;
mod info;
mod item;
mod limits;
mod lock;
mod run;
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
pub use self::runs::Runs;
pub use self::subscription::RunSubscription;
pub use self::task::RunTask;
pub use crate::contract::RunError;
