//! Ends of topics over an endpoint.

mod ended_source;
mod late;
mod local_hub;
mod polls;
mod script;
mod streams;
mod websocket;
mod wire;
mod without_controls;
