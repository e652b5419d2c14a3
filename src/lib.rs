//! Server push for Rust web applications: publish once, deliver over whatever each client can speak, lose nothing
//! silently. Raw WebSocket frames, which carry no cursor, are the exception: see [`Transport::WebSocket`].
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "object")]
mod adapters;
mod contract;
#[cfg(feature = "http")]
mod endpoint;
mod hub;
mod model;
#[cfg(feature = "server")]
#[cfg_attr(docsrs, doc(cfg(feature = "server")))]
pub mod server;
#[cfg(feature = "tokio")]
mod tokio_support;

#[cfg(feature = "object")]
#[allow(unused_imports, unreachable_pub, reason = "the mount alone has no adapter")]
pub use adapters::*;
pub use contract::*;
#[cfg(feature = "http")]
pub use endpoint::*;
pub use hub::*;
pub use model::*;
#[cfg(feature = "tokio")]
pub use tokio_support::*;

#[cfg(all(doctest, feature = "full"))]
#[doc = include_str!("../README.md")]
struct Readme;
