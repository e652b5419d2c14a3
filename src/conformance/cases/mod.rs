//! Cases of adapters and of hubs.

mod all;
mod end;
mod filter;
mod gaps;
mod keyed;
mod order;
mod overflow;
mod resume;
mod topic_ends;
mod ttl;

pub(super) use all::CASES;
