//! Refusals: their statuses, texts and causes.

mod cause;
pub(crate) mod challenge;
pub(crate) mod refusal;
pub(crate) mod shorten;
pub(crate) mod soft_rejects;

pub use cause::RefusalCause;
