//! Engines: hubs whose history outlives the process.
//!
//! A [`LocalHub`](crate::LocalHub) holds the newest events, and a [`History`](history::History) all that are retained. A
//! subscription reads from the hub. What the hub does not hold any more, it reads from the history.
#![allow(dead_code, reason = "the hub on disk is not complete")]

#[cfg(feature = "disk")]
pub(crate) mod disk;
#[cfg(test)]
pub(crate) mod fill;
#[cfg(test)]
pub(crate) mod history;
#[cfg(test)]
pub(crate) mod start;
#[cfg(test)]
pub(crate) mod subscription;

#[cfg(test)]
#[cfg(not(loom))]
mod model;
