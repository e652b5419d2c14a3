//! Spans and metrics of an endpoint and a hub: what they contain, and that the dashboard and the alerts use no other metric.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's panic is its verdict")]

mod capture;
mod client;
mod documents;
mod metrics;
mod page;
mod refusals;
mod spans;
