//! Engines: hubs whose history outlives the process.
//!
//! A [`LocalHub`](crate::LocalHub) holds the newest events, and a [`History`](history::History) all that are retained. A
//! subscription reads from the hub. What the hub does not hold any more, it reads from the history.
#![allow(dead_code, unreachable_pub, reason = "the hub on disk is not complete, so it is not exported")]

#[cfg(feature = "disk")]
pub(crate) mod disk;
pub(crate) mod fill;
pub(crate) mod history;
#[cfg(feature = "disk")]
pub(crate) mod hub;
pub(crate) mod start;
pub(crate) mod subscription;

#[cfg(test)]
mod model;
