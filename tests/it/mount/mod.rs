//! The mount, as its clients see it: most of it by calling the endpoint, what only a server shows over loopback.

mod cursorless;
mod drain;
mod drain_resume;
mod driver;
mod herd;
mod hint;
mod max_event;
mod messages;
mod methods;
mod min_interval;
mod negotiation;
mod pings;
mod polls;
mod reconnect;
mod replies;
pub(crate) mod sessions;
mod socket;
mod streams;
pub(crate) mod wire;
pub(crate) mod world;
