//! Refusals: their statuses, texts and causes, and the refusals that a browser does not take for final.

pub(crate) mod refusal;
pub(crate) mod refused;
#[cfg(feature = "websocket")]
pub(crate) mod reject_upgrade;
pub(crate) mod rejects;
#[cfg(feature = "sse")]
pub(crate) mod soft_reject;

pub use refused::{RefusalCause, Refused};
