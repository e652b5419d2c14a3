//! The hub on disk: a hub in memory, the store, a thread that writes and a thread that reads.

pub(crate) mod builder;
mod commands;
pub(crate) mod disk_hub;
mod reader;
mod reply;
mod writer;

#[cfg(test)]
mod tests;
