//! Cases of the table.

pub(super) mod end;
pub(super) mod filter;
pub(super) mod gaps;
pub(super) mod keyed;
pub(super) mod order;
pub(super) mod overflow;
pub(super) mod resume;
pub(super) mod topic_ends;
pub(super) mod ttl;
