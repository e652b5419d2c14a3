//! Engines: hubs whose history outlives the process.
//!
//! A [`LocalHub`](crate::LocalHub) holds the newest events, and a [`History`](history::History) all that are retained. A
//! subscription reads from the hub. What the hub does not hold any more, it reads from the history.
#![allow(dead_code, reason = "the hub on disk is not complete")]

pub(crate) mod fill;
pub(crate) mod history;
pub(crate) mod start;
pub(crate) mod subscription;

#[cfg(all(test, not(loom)))]
mod model;
