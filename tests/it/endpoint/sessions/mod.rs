//! Sessions of every transport from beginning to end.

mod acknowledged;
mod concurrent_polls;
mod counts;
mod deadlines;
mod ends;
mod joining;
mod limits;
mod messages;
mod pages;
mod poll_sessions;
mod reentrancy;
mod revoked;
mod sequences;
mod sockets;
mod threads;
