//! The behaviour of the crate at its public API: one binary, one module an area.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's panic is its verdict")]

mod support;

/// Module in which the timer looks for its traits.
use tidings::time;

mod hub;
mod model;
mod properties;
mod relay_pace;
mod runs;
mod subscriber;
mod transport;

#[cfg(feature = "full")]
mod clients;
#[cfg(all(feature = "full", feature = "conformance"))]
mod conformance;
#[cfg(feature = "full")]
mod endpoint;
#[cfg(feature = "full")]
mod security;
#[cfg(feature = "full")]
mod server;
#[cfg(feature = "full")]
mod wire_format;
