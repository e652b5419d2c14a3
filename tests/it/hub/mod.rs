//! `LocalHub` and its subscriptions.

mod behind;
mod budget;
mod caches;
mod connected;
mod floods;
mod last_value;
mod latest;
mod live_buffer;
mod model;
mod naive;
mod notifier;
mod patterns;
mod promises;
mod segments;
mod sequences;
mod stats;
mod threads;
mod together;
mod ttl;
mod wait;

pub(crate) use model::Lines;
