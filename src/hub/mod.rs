//! The embedded hub: a sequencer, a log of sealed segments per topic, and subscriptions that read it without a lock.
//!
//! A publish takes the sequencer's lock, appends to the topic's log, marks the inboxes of the several-topic
//! subscriptions that follow it, and moves the watermark; if these are many they are marked after that
//! ([`late_marks`]). Wakers run last. No lock is held for longer because a hub has grown ([`holds`]). Locks are taken in the order
//! sequencer, registry, a topic's log, a pattern's log, inbox, and none is held while code of a user runs. Room within
//! the hub's byte budget is made before the sequencer is taken.

mod budget;
mod builder;
mod evict;
mod growth;
mod holds;
mod local;
mod log;
mod publish_round;
mod shared;
mod subscription;
mod sync;
mod topics;
mod wake;

pub use builder::LocalHubBuilder;
pub use local::LocalHub;
pub use subscription::subscription::Subscription;
pub use topics::stats::HubStats;
pub use wake::notifier::Notifier;
#[cfg(feature = "http")]
pub(crate) use wake::standby::{NotifierSource, Standby};
