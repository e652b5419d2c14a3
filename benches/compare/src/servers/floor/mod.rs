//! The least that a server can do: one thread, epoll, and frames that are encoded once for all listeners of a topic. No
//! timer, buffer or task for a connection that has nothing to do: an idle one is some 40 bytes of a slab, and four in
//! the list of its topic's listeners.

mod answer;
mod board;
mod conn;
mod deliver;
mod encode;
mod request;
mod server;
mod websocket;

pub(super) use server::{Turn, serve};
