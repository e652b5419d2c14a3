//! Topics, patterns, cursors and events.

mod cursor;
#[cfg(feature = "full")]
mod json;
mod pattern;
mod topic;
