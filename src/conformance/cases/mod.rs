//! Cases of adapters and of hubs.

mod all;
mod end;
mod filter;
mod gaps;
mod keyed;
mod losses;
mod order;
mod overflow;
mod restart;
mod resume;
mod topic_ends;
mod ttl;

pub(super) use all::CASES;
