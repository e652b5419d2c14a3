//! `LocalHub` and its subscriptions.

mod budget;
mod model;
mod promises;
mod sequences;
mod stats;
mod threads;

pub(crate) use model::Lines;
