//! Hubs whose history outlives the process.
//!
//! A [`LocalHub`](crate::LocalHub) holds the newest events, and a history all that are retained. A
//! subscription reads from the hub. What the hub does not hold any more, it reads from the history.
//!
//! # To write an engine
//!
//! An [`Engine`] connects an [`EngineHub`] to a log of your own: a database, a broker or a file server. The log orders the records, and
//! pushes them to the [`Tail`] of each node. The example `engine_in_memory` in the repository has a complete one.
//!
//! | the engine | in detail |
//! |---|---|
//! | orders records | One sequence for the events and ends of all topics, from 1. A new log has a random epoch. |
//! | appends once | A record with an [id](Append::id) that was appended has the first place again. |
//! | ends topics | An end and an event of a topic exclude each other: later events are [`Finished`](crate::PublishError::Finished), and later ends return the first one. |
//! | completes | Each record of a followed name is pushed before [`Tail::complete`] with its sequence or a greater one, in any order and any number of times. The head of [`Engine::follow`] is completed, too. |
//! | links records | `previous` is the sequence of the topic's record before, so that the hub notices one that was withheld; `None` if it is not known. |
//! | reports outages | [`Tail::lost`] after a connection broke, before the next `complete`. The hub then reads what it lacks. |
//! | reads pages | Events in order, ends, and the progress that [`HistoryPage::new`] describes. |
//! | proves losses | Each event of a page that is not retained is before the end of its [`LostEvents`], also if it left while the page was read. Expired events are left out, and are not lost. |
//! | unfollows | The records of names that are not followed are not pushed for long. |
//!
//! The function `conformance::engine` (feature `conformance`) tests each of these but outages.

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
pub(crate) mod record;
mod shared;
pub(crate) mod shared_reads;
pub(crate) mod start;
pub(crate) mod subscription;
pub(crate) mod tail;

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
