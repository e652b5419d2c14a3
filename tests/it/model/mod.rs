//! The plain values.

#[cfg(feature = "full")]
mod json;
mod pattern;
mod topic;
