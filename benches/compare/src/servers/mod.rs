//! Servers that are compared with tidings. All have the interface of the example `relay`, so that a client cannot
//! distinguish them:
//!
//! - [`floor`] does the work that no server can omit, and nothing else;
//! - [`hand_rolled`] is the usual code on axum.

mod floor;
mod hand_rolled;
mod run;

pub(crate) use run::{USAGE, run};
