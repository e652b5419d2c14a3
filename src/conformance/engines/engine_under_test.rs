use std::error::Error;
use std::future::Future;

use crate::conformance::engines::task;
use crate::conformance::run::HubOptions;
use crate::engine::{Engine, EngineFuture};

/// Engine that the kit tests.
///
/// [`engine`](crate::conformance::engine) has an example.
pub trait EngineUnderTest: Send + Sync + 'static {
    /// Type of the engine.
    type Engine: Engine;

    /// Opens the engine of another node on the log with this [name](HubOptions::name). The log is empty if the name is new. Otherwise it
    /// has the records of all engines that were opened with the name, also of those that were dropped. It retains at least the
    /// events of [`HubOptions::retention`].
    ///
    /// # Errors
    ///
    /// The case fails with the error.
    fn open(
        &self,
        options: &HubOptions,
    ) -> impl Future<Output = Result<Self::Engine, Box<dyn Error + Send + Sync>>> + Send;

    /// Runs a task of a node until it ends, on a thread of its own. Implement it if the futures of the engine need a runtime, for
    /// example by the `block_on` of a handle of it. Default: the thread polls the task, and is parked while it is pending.
    fn block_on(&self, task: EngineFuture<()>) {
        task::block_on(task);
    }
}
