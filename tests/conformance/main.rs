//! The conformance kit, as a crate with a hub or an adapter of its own runs it: without a runtime.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's panic is its verdict")]

#[cfg(feature = "disk")]
mod disk;
mod local;
mod planted;
mod subscriber;
