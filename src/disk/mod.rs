//! The hub on disk: [`DiskHub`].
//!
//! An application on one machine keeps the history of its topics in a directory, and loses nothing at a deploy or a
//! crash. There is no server to install.

mod builder;
mod commands;
mod hub;
mod reader;
mod reply;
mod store;
mod writer;

#[cfg(test)]
mod tests;

pub use builder::DiskHubBuilder;
pub use hub::DiskHub;
pub use store::{DiskError, Durability, Loss};
