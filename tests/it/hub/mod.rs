//! `LocalHub` and its subscriptions.

mod latest;
mod model;
mod naive;
mod promises;
mod sequences;
mod threads;
mod ttl;

pub(crate) use model::Lines;
