//! Runs: their tasks are polled by hand, in virtual time.

mod drain;
#[cfg(feature = "full")]
mod endpoint;
mod ends;
mod executor;
mod failures;
mod limits;
#[cfg(feature = "disk")]
mod on_disk;
#[cfg(feature = "disk")]
mod on_disk_held;
#[cfg(feature = "disk")]
mod on_disk_settings;
mod panics;
mod readers;
mod reentrancy;
mod reference;
mod script;
mod start;
#[cfg(feature = "tokio")]
mod threads;
#[cfg(feature = "tokio")]
mod tokio_runtime;
mod unwatched;
mod world;
