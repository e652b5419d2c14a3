//! Refusals: their statuses, texts and causes.

pub(crate) mod brief_connections;
mod cause;
pub(crate) mod challenge;
pub(crate) mod refusal;
pub(crate) mod shorten;

pub use cause::RefusalCause;
