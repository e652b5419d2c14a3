//! Subscriptions: the read path, from segments to deliveries.

pub(crate) mod added_states;
pub(crate) mod backfill;
#[cfg(feature = "metrics")]
mod delay;
pub(crate) mod delivery_filter;
pub(crate) mod filtered_output;
pub(crate) mod first_deliveries;
pub(crate) mod followed;
pub(crate) mod info_source;
pub(crate) mod joining;
pub(crate) mod kind;
pub(crate) mod multi_topic;
pub(crate) mod narrowed;
pub(crate) mod output;
pub(crate) mod partial_state;
pub(crate) mod rare;
pub(crate) mod reader;
pub(crate) mod segment_slice;
pub(crate) mod single_topic;
pub(crate) mod skipping;
pub(crate) mod slice_reader;
pub(crate) mod state_position;
#[expect(clippy::module_inception, reason = "the type gives the folder its name")]
pub(crate) mod subscription;
pub(crate) mod taken;
pub(crate) mod unread_topic;
