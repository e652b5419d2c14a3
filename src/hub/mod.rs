//! The embedded hub: a sequencer, a log of sealed segments per topic, and subscriptions that read it without a lock.
//!
//! A publish takes the sequencer's lock, appends to the topic's log, marks the inboxes of the several-topic
//! subscriptions that follow it, and moves the watermark; if these are many they are marked after that
//! ([`late_marks`]). Wakers run last. No lock is held for longer because a hub has grown ([`holds`]). Locks are taken in the order
//! sequencer, registry, a topic's log, a pattern's log, inbox, and none is held while code of a user runs. Room within
//! the hub's byte budget is made before the sequencer is taken.

mod appended;
mod budget;
mod builder;
mod caches;
mod conflating;
mod counts;
mod feed;
mod filing;
mod followed;
mod footprint;
mod growth;
mod history;
mod holds;
mod inbox;
mod joined;
mod joining;
mod kept;
mod late_marks;
mod live_buffer;
mod local;
mod log;
mod merged;
mod narrowed;
mod newest;
mod notifier;
mod patterns;
mod placing;
mod reader;
mod recent;
mod registry;
mod replay;
mod retentions;
mod rhythm;
mod room;
mod segment;
mod segments;
mod shared;
mod sieve;
mod single;
mod sizes;
mod slots;
#[cfg(feature = "http")]
mod standby;
mod stats;
mod subscription;
mod sweeper;
mod sync;
mod tail;
mod tombstones;
mod topic_table;
mod visit;
mod waiters;
mod weak_queue;

pub use builder::LocalHubBuilder;
pub use local::LocalHub;
#[cfg(feature = "http")]
pub(crate) use standby::{NotifierSource, Standby};
pub use stats::HubStats;
pub use subscription::Subscription;
