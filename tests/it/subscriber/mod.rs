//! Recovery: an application's snapshot in place of a gap, and the events after it, over every transport.

mod ends;
mod panics;
mod recover;
mod recover_sequences;
mod stale_snapshots;
mod threads;

#[cfg(feature = "full")]
mod endpoint;
#[cfg(feature = "full")]
mod snapshot_calls;
