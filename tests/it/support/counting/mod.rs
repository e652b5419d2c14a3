//! An application that counts events by topic, with snapshots of its counts, and clients that must get the same counts.

#[cfg(feature = "full")]
mod app;
mod counters;

#[cfg(feature = "full")]
pub(crate) use app::{CountingApp, Reader, Route, Server, SnapshotCall};
pub(crate) use counters::{Counters, CountingClient, CursorLineFormat, TOPICS};
