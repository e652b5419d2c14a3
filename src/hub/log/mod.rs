//! Logs: the events of a topic, or of all topics that a pattern matches.

pub(crate) mod append;
pub(crate) mod conflating;
pub(crate) mod encode_cache;
pub(crate) mod encode_kept;
pub(crate) mod end_mark;
pub(crate) mod ending;
pub(crate) mod eviction;
pub(crate) mod filing;
pub(crate) mod fill;
pub(crate) mod history;
pub(crate) mod kept;
pub(crate) mod keyed_state;
pub(crate) mod latest_by_key;
pub(crate) mod live_buffer;
#[expect(clippy::module_inception, reason = "the type gives the folder its name")]
pub(crate) mod log;
pub(crate) mod pattern_log;
pub(crate) mod publish_pace;
pub(crate) mod seek;
pub(crate) mod segment;
pub(crate) mod segment_queue;
pub(crate) mod segment_sizing;
pub(crate) mod state_chain;
pub(crate) mod state_start;
