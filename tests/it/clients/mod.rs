//! Small clients of every transport over HTTP. The readers of the wire formats are those of the conformance kit, written from
//! the description of the formats and without code of the adapters. There are two clients for SSE and two for WebSocket: with
//! event objects, and without.
//!
//! [`connect`] opens a client. The swarm, another binary, uses the clients too.
#![allow(dead_code, unused_imports, reason = "each binary uses a part")]

mod client;
mod http;
mod poll_client;
#[cfg(not(feature = "conformance"))]
#[allow(unreachable_pub, reason = "the module is public in the kit")]
#[path = "../../../src/conformance/clients/mod.rs"]
mod shared;
mod stream_client;
mod traffic;
mod websocket_client;

pub(crate) use client::connect;
pub(crate) use http::{Connection, Http};
#[cfg(not(feature = "conformance"))]
pub(crate) use shared::*;
#[cfg(feature = "conformance")]
pub(crate) use tidings::conformance::clients::*;
pub(crate) use traffic::Traffic;
