//! Server-sent events, read back by two independent readers: one written from the standard, one of another crate.

mod encoder;
mod reader;
