//! Hubs whose history outlives the process.
//!
//! A [`LocalHub`](crate::LocalHub) holds the newest events, and a history all that are retained. A
//! subscription reads from the hub. What the hub does not hold any more, it reads from the history.

mod action;
mod driver;
pub(crate) mod ends;
#[expect(clippy::module_inception, reason = "the trait gives the folder its name")]
mod engine;
mod engine_hub;
mod engine_subscription;
pub(crate) mod fill;
pub(crate) mod history;
mod interest;
mod known_topics;
mod late;
mod merge;
mod record;
mod shared;
pub(crate) mod shared_reads;
pub(crate) mod start;
pub(crate) mod subscription;
mod tail;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use driver::EngineDriver;
pub use engine::{Append, AppendBody, Appended, Engine, Followed, LogState};
pub use engine_hub::{EngineHealth, EngineHub, EngineHubBuilder};
pub use engine_subscription::EngineSubscription;
pub use history::{
    EngineFuture, HistoryError, HistoryPage, LostEvents, Read, ReadFrom, ReadRange, ReadState, StoredEnd, StoredEvent,
};
pub use subscription::HistorySubscription;
pub use tail::Tail;
