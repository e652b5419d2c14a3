//! The behaviour of the crate at its public API: one binary, one module an area.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's panic is its verdict")]

mod support;

mod cursor;
mod hub;
mod model;
mod properties;
mod relay_pace;
mod snapshot;

#[cfg(feature = "full")]
mod clients;
#[cfg(feature = "full")]
mod conformance;

#[cfg(feature = "chunked")]
mod chunked;
#[cfg(feature = "long-poll")]
mod long_poll;
#[cfg(feature = "full")]
mod mount;
#[cfg(feature = "full")]
mod security;
#[cfg(feature = "full")]
mod server;
#[cfg(feature = "short-poll")]
mod short_poll;
#[cfg(feature = "sse")]
mod sse;
#[cfg(feature = "websocket")]
mod websocket;
