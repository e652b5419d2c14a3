//! The behaviour of the crate at its public API: one binary, one module an area.

mod hub;
