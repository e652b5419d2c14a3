//! Five small clients, and a sixth and seventh for what SSE and WebSocket carry besides, written from the wire's
//! description and nothing of ours: what they read is what another client would.
//!
//! A wire's reader takes bytes and puts what they say into an [`Inbox`], over HTTP and without it; [`connect`] opens
//! one over HTTP. The swarm, another binary, uses them too.
#![allow(dead_code, reason = "each binary uses a part")]

mod blocks;
mod client;
mod counted;
mod frames;
mod http;
mod inbox;
mod lines;
mod object;
mod poll;
mod reply;
mod seen;
mod stream;
mod websocket;

pub(crate) use blocks::Blocks;
pub(crate) use client::{Client, Speaks, Waiting, connect};
pub(crate) use counted::Traffic;
pub(crate) use frames::Frames;
pub(crate) use http::{Connection, Http};
pub(crate) use inbox::{Inbox, Wire};
pub(crate) use lines::Lines;
pub(crate) use reply::read_reply;
pub(crate) use seen::{Data, End, Event, Gap, Seen};
