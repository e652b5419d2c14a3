//! The plain values.

mod pattern;
mod topic;
