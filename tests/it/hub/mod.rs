//! `LocalHub` and its subscriptions.

mod model;
mod patterns;
mod promises;
mod sequences;
mod threads;

pub(crate) use model::Lines;
