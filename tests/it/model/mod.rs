//! The plain values.

mod cursor;
#[cfg(feature = "full")]
mod json;
mod pattern;
mod topic;
