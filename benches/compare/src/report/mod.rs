//! Tables as files.

mod chart;
mod machine;
mod markdown;

pub(crate) use chart::chart;
pub(crate) use machine::Machine;
pub(crate) use markdown::markdown;
