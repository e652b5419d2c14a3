//! Tests that need a server: the endpoint behind hyper and axum, over loopback.

mod axum;
mod http1;
mod http2;
mod polls;
mod websocket;
