//! Cases of engines, and hubs on them.

mod cases;
mod engine_under_test;
mod hubs;
mod logs;
mod node_hub;
mod pages;
mod probe;
mod seam;
mod tails;
mod task;

pub use cases::engine;
pub use engine_under_test::EngineUnderTest;
