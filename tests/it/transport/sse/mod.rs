//! Server-sent events: what is written, read back by two readers that are not ours to bend.

mod encoder;
mod reader;

#[cfg(feature = "full")]
pub(crate) use reader::{SseEvent, SseReader};
