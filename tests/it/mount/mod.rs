//! The mount, as its clients see it: most of it by calling the endpoint, what only a server shows over loopback.

mod drain;
mod driver;
mod headers;
mod herd;
mod hint;
mod limits;
mod methods;
mod min_interval;
mod negotiation;
mod origin;
mod polls;
mod streams;
mod wire;
mod world;
