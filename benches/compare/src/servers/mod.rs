//! The servers that tidings is compared with. All speak as the example `relay` does, so that a client does not know
//! whom it talks to:
//!
//! - [`floor`] does what no server can do without, and nothing else;
//! - [`hand_rolled`] is what a team writes on axum.

mod floor;
mod hand_rolled;
mod run;

pub(crate) use run::{USAGE, run};
