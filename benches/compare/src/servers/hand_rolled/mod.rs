//! Servers on axum and tokio's broadcast channel: one as in tutorials, and one that was tuned by measurement.

mod chunked;
mod hub;
mod poll;
mod router;
mod sse;
mod websocket;

pub(super) use router::{Style, serve};
