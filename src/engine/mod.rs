//! Hubs whose history outlives the process.
//!
//! A [`LocalHub`](crate::LocalHub) holds the newest events, and a [`History`](history::History) all that are retained. A
//! subscription reads from the hub. What the hub does not hold any more, it reads from the history.

pub(crate) mod fill;
pub(crate) mod history;
pub(crate) mod start;
pub(crate) mod subscription;

#[cfg(test)]
mod model;

pub use subscription::EngineSubscription;
