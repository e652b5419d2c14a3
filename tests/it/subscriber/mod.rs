//! State in the place of what is gone: nothing between it and what follows, over every transport.

mod board;
mod cuts;
mod order;
mod panics;
mod stale;
mod threads;

#[cfg(feature = "full")]
pub(crate) mod app;
#[cfg(feature = "full")]
mod hook;
#[cfg(feature = "full")]
mod mounted;
