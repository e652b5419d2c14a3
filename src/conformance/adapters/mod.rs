//! The adapters of this crate without HTTP: each over a subscription of the case's hub, read by the reader of its wire format.

mod own_adapter;
mod pipe;
mod poll;
mod stream;
mod websocket;

pub use own_adapter::own_adapters;
