//! Heads of responses, and the future of a response.

pub(crate) mod answer;
pub(crate) mod challenge;
pub(crate) mod future;
pub(crate) mod headers;

pub use future::ResponseFuture;
