//! Server push for Rust web applications: publish once, deliver over whatever each client can speak, lose nothing
//! silently. Raw WebSocket frames, which carry no cursor, are the exception: see [`Transport::WebSocket`].
#![cfg_attr(docsrs, feature(doc_cfg))]

mod contract;
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub mod endpoint;
mod hub;
mod model;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub mod server;
pub mod subscriber;
pub mod time;
#[cfg(feature = "object")]
#[allow(unused_imports, unreachable_pub, reason = "`http` alone turns the folder on, without an adapter")]
pub mod transport;

pub use contract::*;
#[cfg(feature = "http")]
pub use endpoint::*;
pub use hub::*;
pub use model::*;
#[cfg(feature = "tokio")]
pub use server::{Socket, tune};
pub use subscriber::*;
pub use time::*;
#[allow(unused_imports, unreachable_pub, reason = "`http` alone turns the folder on, without an adapter")]
#[cfg(feature = "object")]
pub use transport::*;

#[cfg(all(doctest, feature = "full"))]
#[doc = include_str!("../README.md")]
struct Readme;
