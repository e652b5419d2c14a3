//! Heads of responses, and the future of a response.

pub(crate) mod answer;
pub(crate) mod challenge;
pub(crate) mod future;
pub(crate) mod headers;
#[cfg(feature = "axum")]
mod into_response;

pub use future::ResponseFuture;
