//! State of a [keyed](crate::Retention::latest_per_key) topic: the newest event of each key, beside the log's segments.
//!
//! The events of the state are read in *fill segments*: sealed segments with up to 256 events of the state, in the order of
//! their sequences. A reader in a fill has a position by sequence and not by index. When it has read a fill segment, the log
//! returns the next one, or the index at which the reader continues in the log.

pub(crate) mod fill;
pub(crate) mod keyed_state;
pub(crate) mod placing;
pub(crate) mod state_chain;
