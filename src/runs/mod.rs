//! Runs: answers that outlive their requests, such as the answer of a model.

mod builder;
mod catch;
mod drain;
mod entry;
mod failure;
mod info;
mod item;
mod limits;
mod lock;
mod run;
#[expect(clippy::module_inception, reason = "the type gives the folder its name")]
mod runs;
mod shared;
mod source;
mod spawner;
mod subscription;
mod table;
mod task;

pub use self::builder::RunsBuilder;
pub use self::failure::{FailureCause, RunFailure};
pub use self::info::RunInfo;
pub use self::item::RunItem;
pub use self::run::Run;
pub use self::runs::Runs;
pub use self::subscription::RunSubscription;
pub use self::task::RunTask;
pub use crate::contract::RunError;
