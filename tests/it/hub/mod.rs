//! `LocalHub` and its subscriptions.

mod latest;
mod model;
mod naive;
mod patterns;
mod promises;
mod sequences;
mod threads;
mod ttl;

pub(crate) use model::Lines;
