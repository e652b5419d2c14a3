//! `LocalHub` and its subscriptions.

mod model;
mod promises;
mod sequences;
mod threads;

pub(crate) use model::Lines;
