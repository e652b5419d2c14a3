//! Small clients of every transport, written from the description of the wire formats and without code of the crate.
//! There are two clients for SSE and two for WebSocket: with event objects, and without.
//!
//! The reader of a wire format, a [`Wire`], takes bytes and puts the items into an [`Inbox`], with or without HTTP.
//! [`connect`] opens a client over HTTP. The swarm, another binary, uses the clients too.
#![allow(dead_code, reason = "each binary uses a part")]

mod client;
mod frames;
mod http;
pub(crate) mod inbox;
mod ndjson;
mod object;
mod poll_client;
mod reply;
mod seen;
mod sse;
mod stream_client;
mod traffic;
mod websocket_client;

pub(crate) use client::{BoxFuture, Client, ClientKind, connect};
pub(crate) use frames::WebSocketWire;
pub(crate) use http::{Connection, Http};
pub(crate) use inbox::{Inbox, Wire};
pub(crate) use ndjson::NdjsonWire;
pub(crate) use reply::read_reply;
pub(crate) use seen::{Data, End, Event, Gap, Seen, TopicEnd};
pub(crate) use sse::SseWire;
pub(crate) use traffic::Traffic;
