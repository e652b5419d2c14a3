//! Server for axum routers and other tower services, with limits against slow and numerous clients.
//!
//! [`serve`] is called like `axum::serve`, and adds what that lacks: a deadline and a limit for request heads, limits
//! for HTTP/2, TCP options for push, a limit for connections, a graceful shutdown that ends, and, on a loopback
//! address, a check of the host name against DNS rebinding. TLS and Unix sockets are not offered: put a proxy in front,
//! or use hyper.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use tidings::{Endpoint, LocalHub, SubscribeRequest, server};
//!
//! # async fn run() -> std::io::Result<()> {
//! let hub = LocalHub::new();
//! let events = Endpoint::new(move |request: SubscribeRequest| {
//!     let hub = hub.clone();
//!     async move { Ok(hub.subscribe(request.subscribe_to(["news"]))?) }
//! });
//! let app = Router::new().route("/", get(|| async { "hello" })).route_service("/events", events.clone());
//! let listener = server::bind("127.0.0.1:3000").await?;
//! server::serve(listener, app).with_graceful_shutdown(events.drain_on(tokio::signal::ctrl_c())).await
//! # }
//! ```

#[cfg(feature = "server")]
mod accept;
#[cfg(feature = "server")]
mod app;
#[cfg(feature = "server")]
mod bind;
#[cfg(feature = "server")]
mod body;
mod coalescing_stream;
#[cfg(feature = "server")]
mod connection;
#[cfg(feature = "server")]
mod connections;
#[cfg(feature = "server")]
mod hosts;
#[cfg(feature = "server")]
mod io;
#[cfg(feature = "server")]
mod limits;
#[cfg(feature = "server")]
mod peer;
#[cfg(feature = "http")]
mod request_timer;
#[cfg(feature = "server")]
mod serve;
mod tcp_options;
#[cfg(all(test, feature = "server", not(loom)))]
mod tests;

#[cfg(feature = "server")]
pub use bind::bind;
pub use coalescing_stream::CoalescingStream;
#[cfg(feature = "server")]
pub use peer::PeerAddr;
#[cfg(feature = "server")]
pub use serve::{Serve, ServeFuture, serve};
pub use tcp_options::set_tcp_options;
