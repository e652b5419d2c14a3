//! Sessions of every transport from their beginning to their end.

mod counts;
mod deadlines;
mod ends;
pub(crate) mod guest;
pub(crate) mod house;
mod joining;
mod limits;
mod pages;
mod reentrancy;
mod revoked;
mod runs;
mod sequences;
mod sockets;
mod threads;
mod turns;
mod upstream;
