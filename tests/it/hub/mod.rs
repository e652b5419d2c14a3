//! `LocalHub` and its subscriptions.

mod budget;
mod caches;
mod model;
mod promises;
mod sequences;
mod stats;
mod threads;

pub(crate) use model::Lines;
