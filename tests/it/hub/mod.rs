//! `LocalHub` and its subscriptions.

mod batches;
mod behind;
mod budget;
mod caches;
mod connected;
mod eviction;
mod floods;
mod last_value;
mod latest;
mod live_buffer;
mod model;
mod naive;
mod notifier;
mod panics;
mod patterns;
mod promises;
mod publish;
mod replaced;
mod segments;
mod sequences;
mod silent;
mod starts;
mod stats;
mod threads;
mod together;
mod ttl;
mod wait;

pub(crate) use model::Lines;
