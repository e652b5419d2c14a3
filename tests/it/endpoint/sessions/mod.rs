//! Sessions of every transport from beginning to end.

mod counts;
mod deadlines;
mod ends;
mod joining;
mod limits;
mod pages;
mod reentrancy;
mod revoked;
mod runs;
mod sequences;
mod sockets;
mod turns;
mod upstream;
