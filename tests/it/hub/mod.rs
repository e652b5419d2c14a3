//! `LocalHub` and its subscriptions.

mod budget;
mod caches;
mod latest;
mod model;
mod naive;
mod notifier;
mod patterns;
mod promises;
mod sequences;
mod stats;
mod threads;
mod together;
mod ttl;

pub(crate) use model::Lines;
