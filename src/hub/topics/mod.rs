//! Topics of a hub: the registry, what is remembered of dropped topics, and the lookup of the topics of a pattern.

pub(crate) mod counts;
pub(crate) mod ended_topics;
pub(crate) mod find_topics;
pub(crate) mod finishing;
pub(crate) mod patterns;
pub(crate) mod recent;
#[cfg(feature = "metrics")]
mod record_stats;
pub(crate) mod registry;
pub(crate) mod retentions;
pub(crate) mod stats;
pub(crate) mod sweeper;
pub(crate) mod tombstones;
pub(crate) mod topic_table;
