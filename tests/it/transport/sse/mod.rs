//! Server-sent events, read back by two independent readers: `SseReader`, written from the HTML standard, and the crate
//! `eventsource-stream`.

mod encoder;
mod reader;
