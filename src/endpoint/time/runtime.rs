use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::driver::{Driver, Job};
use super::wheel::Wheel;
use crate::endpoint::catch_panic::catch_panic;
use crate::hub::NotifierSource;
use crate::time::{Clock, Timer};

/// Task for a spawner.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Function that starts tasks.
pub(crate) type Spawn = Arc<dyn Fn(Task) + Send + Sync>;

/// The source of an endpoint's time and tasks: the application's, or else tokio's under its feature.
pub(crate) struct Runtime {
    pub(crate) wheel: Wheel,
    /// The wheel as a timer, for code that keeps one.
    #[cfg(feature = "websocket")]
    pub(crate) timer: Arc<dyn Timer>,
    tasks: Arc<Tasks>,
}

/// The means to start a driver and other tasks.
struct Tasks {
    spawn: Option<Spawn>,
    jobs: Vec<Job>,
    notifiers: Vec<NotifierSource>,
}

/// Reason why an endpoint can't work, which requests are answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// There is no driver.
    Driver,
    /// The driver's timer panics.
    Time,
    /// A WebSocket's session needs a task of its own.
    Spawner,
}

impl Missing {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Driver => {
                "the endpoint has no driver: serve it inside a tokio runtime (feature `tokio`), or give its builder a \
                 timer and run Endpoint::driver()"
            }
            Self::Time => {
                "the endpoint's timer panics: build the tokio runtime with enable_time() or enable_all(), or give the \
                 endpoint's builder another timer"
            }
            Self::Spawner => {
                "the endpoint can't start a task: serve it inside a tokio runtime (feature `tokio`), or give its \
                 builder a spawner"
            }
        }
    }
}

impl Runtime {
    pub(crate) fn new(
        timer: Arc<dyn Timer>,
        spawn: Option<Spawn>,
        jobs: Vec<Job>,
        notifiers: Vec<NotifierSource>,
    ) -> Self {
        let tasks = Arc::new(Tasks { spawn, jobs, notifiers });
        let start = tasks.clone();
        let start = Box::new(move |wheel: &Wheel| start.start_driver(wheel).is_ok());
        let wheel = Wheel::new(timer, start);
        Self {
            #[cfg(feature = "websocket")]
            timer: Arc::new(wheel.clone()),
            wheel,
            tasks,
        }
    }

    /// Sees to it that there is a driver. Costs one load where there is.
    pub(crate) fn ready(&self) -> Result<(), Missing> {
        if self.wheel.has_driver() {
            return Ok(());
        }
        self.tasks.start_driver(&self.wheel)
    }

    /// Returns the driver for the application to run, unless there is one.
    pub(crate) fn driver(&self) -> Option<Driver> {
        let driver = Driver::take(&self.wheel, &self.tasks.jobs, &self.tasks.notifiers)?;
        driver.launch().finish();
        Some(driver)
    }

    /// Starts a task.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<(), Missing> {
        self.tasks.spawn(task)
    }

    pub(crate) fn can_spawn(&self) -> bool {
        self.tasks.can_spawn()
    }
}

impl Tasks {
    /// Starts a driver, if there is none.
    fn start_driver(&self, wheel: &Wheel) -> Result<(), Missing> {
        if !self.can_spawn() {
            return Err(Missing::Driver);
        }
        if self.spawn.is_none() {
            // The driver would run here. Tokio's timer panics in a runtime that was built without time.
            catch_panic(|| drop(wheel.base().sleep_until(wheel.now()))).map_err(|_| Missing::Time)?;
        }
        let has_failed = wheel.take_driver_failure();
        let Some(driver) = Driver::take(wheel, &self.jobs, &self.notifiers) else {
            // Another request was first.
            return Ok(());
        };
        let launch = driver.launch();
        let spawned = catch_panic(|| self.spawn(driver)).unwrap_or(Err(Missing::Spawner));
        if !launch.finish() {
            // The spawner dropped it. If that is a runtime that ends, tasks of another one that looked meanwhile saw a driver.
            if self.spawn.is_none() {
                wheel.wake_for_driver();
            }
            return Err(Missing::Driver);
        }
        spawned.and(if has_failed { Err(Missing::Time) } else { Ok(()) })
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<(), Missing> {
        match &self.spawn {
            Some(spawn) => spawn(Box::pin(task)),
            None => default_spawn(task)?,
        }
        Ok(())
    }

    fn can_spawn(&self) -> bool {
        self.spawn.is_some() || can_default_spawn()
    }
}

#[cfg(feature = "tokio")]
pub(crate) fn default_timer() -> Option<Arc<dyn Timer>> {
    Some(Arc::new(crate::time::TokioTimer::default()))
}

#[cfg(feature = "tokio")]
fn default_spawn(task: impl Future<Output = ()> + Send + 'static) -> Result<(), Missing> {
    tokio::runtime::Handle::try_current().map_err(|_| Missing::Spawner)?.spawn(task);
    Ok(())
}

#[cfg(feature = "tokio")]
fn can_default_spawn() -> bool {
    tokio::runtime::Handle::try_current().is_ok()
}

#[cfg(not(feature = "tokio"))]
pub(crate) fn default_timer() -> Option<Arc<dyn Timer>> {
    None
}

#[cfg(not(feature = "tokio"))]
fn default_spawn(task: impl Future<Output = ()> + Send + 'static) -> Result<(), Missing> {
    drop(task);
    Err(Missing::Spawner)
}

#[cfg(not(feature = "tokio"))]
fn can_default_spawn() -> bool {
    false
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("wheel", &self.wheel).finish_non_exhaustive()
    }
}
