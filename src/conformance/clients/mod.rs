//! Clients of adapters, and readers of this crate's wire formats.
//!
//! The readers are written from the description of the wire formats and without code of the adapters. A reader, a [`Wire`],
//! takes bytes in any pieces and puts the items into an [`Inbox`].

mod client;
mod frames;
mod inbox;
mod ndjson;
mod object;
mod reply;
mod seen;
mod sse;
mod sse_reader;

pub use client::{BoxFuture, Client, ClientKind};
pub use frames::WebSocketWire;
pub use inbox::{Inbox, Item, Wire, reaches};
pub use ndjson::NdjsonWire;
pub use reply::read_reply;
pub use seen::{ClientEnd, Seen, SeenData, SeenEvent, SeenGap, SeenTopicEnd};
pub use sse::SseWire;
