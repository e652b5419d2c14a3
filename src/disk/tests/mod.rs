//! Tests of the hub on disk.

mod edges;
mod history;
mod keyed;
mod keyed_client;
mod keyed_sequences;
mod queue;
mod support;
