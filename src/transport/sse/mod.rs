//! Server-sent events (WHATWG HTML §9.2): a subscriber as a stream of blocks.

mod block;
mod encoder;
mod format;

#[cfg(feature = "http")]
pub(crate) use block::sse_retry_block;
pub use encoder::SseEncoder;
