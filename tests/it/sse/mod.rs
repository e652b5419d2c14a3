//! Server-sent events: what is written, read back by two readers that are not ours to bend.

mod encoder;
mod reader;

pub(crate) use reader::{SseEvent, SseReader};
