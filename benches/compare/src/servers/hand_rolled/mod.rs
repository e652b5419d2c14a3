//! What a team writes on axum and tokio's broadcast channel, after the tutorials; and the same by those who have
//! measured it.

mod chunked;
mod hub;
mod poll;
mod router;
mod sse;
mod websocket;

pub(super) use router::{Style, serve};
