//! The mount, as its clients see it: most of it by calling the endpoint, what only a server shows over loopback.

mod drain;
mod driver;
mod headers;
mod limits;
mod methods;
mod negotiation;
mod origin;
mod polls;
mod streams;
mod wire;
pub(crate) mod world;
