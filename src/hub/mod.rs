//! Embedded hub: a sequencer, a log of sealed segments for each topic, and subscriptions that read it without a lock.
//!
//! A publish takes the sequencer's lock, appends the event to the topic's log, marks the inboxes of the subscriptions of
//! several topics that follow it, and advances the watermark. Many inboxes are marked after that
//! ([`late_marks`](wake::late_marks)). Wakers are called last. No lock is held for longer because a hub has grown
//! ([`holds`]). Locks are taken in the order sequencer, registry, a topic's log, a pattern's log, inbox, and none is held
//! while code of a user runs. Room within the byte budget is made before the sequencer is taken.
//!
//! The folders are floors: `wake` and `budget` know nothing of a log, `log` knows nothing of topics and subscriptions,
//! `topics` finds logs by name, and `subscription` reads them. No file imports another in a circle.

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
#[cfg(feature = "http")]
pub(crate) use wake::standby::{NotifierSource, Standby};
