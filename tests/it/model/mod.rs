//! The plain values.

mod pattern;
