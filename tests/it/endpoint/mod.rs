//! The endpoint as its clients see it: most tests call it directly, those that need a server use loopback.

mod cursorless;
mod drain;
mod drain_resume;
mod driver;
mod ends;
mod from_fn;
mod layers;
mod long_poll_min_wait;
mod max_event;
mod messages;
mod methods;
mod negotiation;
mod notifier;
mod pings;
mod poll_hint;
mod polls;
mod reconnect;
mod replies;
mod respond;
mod sessions;
mod shared_encoding;
mod starts;
mod streams;
mod takeover;
mod wire;
mod without_publisher;
