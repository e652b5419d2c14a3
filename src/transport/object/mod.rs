//! JSON objects of events, gaps and control messages, in poll replies, NDJSON lines, `tidings.v1` frames and SSE with
//! `?format=object`.

mod control;
mod event;
mod string;

pub(crate) use control::{
    write_bye, write_cursor, write_error, write_heartbeat, write_hello, write_millis, write_topics, write_topics_error,
};
pub(crate) use event::{write_answer, write_end, write_event, write_gap, write_topic_end};
pub(crate) use string::{write_base64, write_string};
