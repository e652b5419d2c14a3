//! The minimum work of a server: one thread, epoll, and frames that are encoded once for all subscribers of a topic. An
//! idle connection has no timer, buffer or task: it takes about 40 bytes of a slab, and four in the list of its topic's
//! subscribers.

mod answer;
mod board;
mod conn;
mod deliver;
mod encode;
mod request;
mod server;
mod websocket;

pub(super) use server::{Turn, serve};
