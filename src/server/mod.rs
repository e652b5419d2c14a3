//! Server for axum routers and other tower services, with limits for slow clients and for many clients.
//!
//! [`serve`] has the signature of `axum::serve` and adds:
//!
//! - a deadline and a size limit for request heads,
//! - limits for the streams and buffers of HTTP/2,
//! - TCP options for server push, see [`set_tcp_options`],
//! - a limit of connections,
//! - a graceful shutdown with a time limit,
//! - on a loopback address, a check of the host name against DNS rebinding.
//!
//! The limits, their defaults and the reasons are in the table of [`Serve`]. The server has no TLS and no Unix sockets: put a
//! proxy in front of it, or use hyper with [`CoalescingStream`].
//!
//! # Example
//!
//! A server with a page and an endpoint. At Ctrl+C the endpoint closes its sessions with a time to reconnect, and the server
//! ends.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use tidings::{Endpoint, LocalHub, server};
//!
//! # async fn run() -> std::io::Result<()> {
//! let hub = LocalHub::new();
//! let events = Endpoint::public(&hub, ["news"]);
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
#[cfg(feature = "http")]
mod request_timer;
#[cfg(feature = "server")]
mod serve;
mod tcp_options;
#[cfg(all(test, feature = "server", not(loom)))]
mod tests;

#[cfg(feature = "server")]
pub use crate::endpoint::PeerAddr;
#[cfg(feature = "server")]
pub use bind::bind;
pub use coalescing_stream::CoalescingStream;
#[cfg(feature = "server")]
pub use serve::{Serve, ServeFuture, serve};
pub use tcp_options::set_tcp_options;
