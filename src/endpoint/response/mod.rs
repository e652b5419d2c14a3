//! Heads of responses.

pub(crate) mod answer;
pub(crate) mod headers;
#[cfg(feature = "axum")]
mod into_response;
