//! Topics, events, cursors and gaps as plain values, without locks, clocks or futures.

mod cursor;
mod event;
mod event_error;
mod gap;
#[cfg(feature = "json")]
mod json;
mod pattern;
mod retention;
mod topic;
mod topic_end;

pub use cursor::{Cursor, CursorError};
pub use event::{Event, EventKind};
pub use event_error::EventError;
pub use gap::{Gap, GapReason, Overflow};
pub use pattern::{Pattern, PatternError};
pub use retention::{Retention, StateLimits};
pub use topic::{IntoTopic, Topic, TopicError};
pub use topic_end::{EndReason, TopicEnd};
