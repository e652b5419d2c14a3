//! Cases, each of which holds for every row that it is for.

pub(super) mod end;
pub(super) mod gaps;
pub(super) mod order;
pub(super) mod overflow;
pub(super) mod resume;
pub(super) mod ttl;
