//! Tests of the hub on disk.

mod history;
mod keyed_client;
mod keyed_sequences;
mod support;
