//! Requests that a handler answers with a subscriber of its own, by any method.

mod busy;
mod cancel;
mod check;
mod choice;
mod clients;
mod ends;
mod support;
mod wire;
