use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::shared::Shared;
use super::task::RunTask;

/// Function that starts tasks.
pub(crate) type SpawnFn = Arc<dyn Fn(Pin<Box<dyn Future<Output = ()> + Send>>) + Send + Sync>;

/// Means to start a task.
pub(crate) enum Spawner {
    Function(SpawnFn),
    #[cfg(feature = "tokio")]
    Tokio(tokio::runtime::Handle),
}

impl Spawner {
    /// Returns the application's function, or the current runtime of tokio.
    pub(crate) fn of(shared: &Shared) -> Option<Self> {
        shared.spawn.clone().map(Self::Function).or_else(Self::current)
    }

    #[cfg(feature = "tokio")]
    fn current() -> Option<Self> {
        tokio::runtime::Handle::try_current().ok().map(Self::Tokio)
    }

    #[cfg(not(feature = "tokio"))]
    fn current() -> Option<Self> {
        None
    }

    /// Starts the task of a run.
    pub(crate) fn spawn(&self, task: RunTask) {
        match self {
            Self::Function(spawn) => spawn(Box::pin(task)),
            #[cfg(feature = "tokio")]
            Self::Tokio(handle) => drop(handle.spawn(task)),
        }
    }
}
