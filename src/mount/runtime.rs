use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::driver::{Driver, Job, Seat};
use super::wheel::Wheel;
use crate::contract::{Clock, Sleep, StdClock, Timer};
use crate::hub::NotifierSource;

/// What a spawner is given.
pub(super) type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
/// How tasks are started.
pub(super) type Spawn = Arc<dyn Fn(Task) + Send + Sync>;

/// Where an endpoint's time and tasks come from: what the application gave, else tokio under its feature, else
/// nothing, which every request is told.
pub(super) struct Runtime {
    pub(super) wheel: Wheel,
    /// The wheel, for those who keep a timer.
    #[cfg(feature = "websocket")]
    pub(super) timer: Arc<dyn Timer>,
    timed: bool,
    spawn: Option<Spawn>,
    jobs: Vec<Job>,
    notifiers: Vec<NotifierSource>,
    seat: Seat,
}

/// Why an endpoint can't work, told to whoever asks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Nobody turns the wheel.
    Driver,
    /// A WebSocket's session needs a task of its own.
    Spawner,
}

impl Missing {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Driver => {
                "the endpoint has no driver: serve it inside a tokio runtime (feature `tokio`), or give its builder a \
                 timer and run Endpoint::driver()"
            }
            Self::Spawner => {
                "the endpoint can't start a task: serve it inside a tokio runtime (feature `tokio`), or give its \
                 builder a spawner"
            }
        }
    }
}

impl Runtime {
    pub(super) fn new(
        timer: Option<Arc<dyn Timer>>,
        spawn: Option<Spawn>,
        jobs: Vec<Job>,
        notifiers: Vec<NotifierSource>,
    ) -> Self {
        let timer = timer.or_else(default_timer);
        let timed = timer.is_some();
        let wheel = Wheel::new(timer.unwrap_or_else(|| Arc::new(Timeless)));
        Self {
            #[cfg(feature = "websocket")]
            timer: Arc::new(wheel.clone()),
            wheel,
            timed,
            spawn,
            jobs,
            notifiers,
            seat: Seat::default(),
        }
    }

    /// Sees to it that there is a driver. Costs one load where there is.
    pub(super) fn ready(&self) -> Result<(), Missing> {
        if self.seat.is_taken() {
            return Ok(());
        }
        match self.driver() {
            Some(driver) => self.spawn(driver).map_err(|_| Missing::Driver),
            // Another request was first, or there is no timer.
            None if self.timed => Ok(()),
            None => Err(Missing::Driver),
        }
    }

    pub(super) fn driver(&self) -> Option<Driver> {
        self.timed.then(|| Driver::take(&self.seat, &self.wheel, &self.jobs, &self.notifiers)).flatten()
    }

    /// Starts a task.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<(), Missing> {
        match &self.spawn {
            Some(spawn) => spawn(Box::pin(task)),
            None => default_spawn(task)?,
        }
        Ok(())
    }

    pub(super) fn can_spawn(&self) -> bool {
        self.spawn.is_some() || can_default_spawn()
    }
}

#[cfg(feature = "tokio")]
fn default_timer() -> Option<Arc<dyn Timer>> {
    Some(Arc::new(super::TokioTimer::default()))
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
fn default_timer() -> Option<Arc<dyn Timer>> {
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

/// Stands where no timer was given; nothing sleeps on it, since every request is refused before.
struct Timeless;

impl Clock for Timeless {
    fn now(&self) -> Instant {
        StdClock::default().now()
    }
}

impl Timer for Timeless {
    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Forever)
    }
}

struct Forever;

impl Future for Forever {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Sleep for Forever {
    fn reset(self: Pin<&mut Self>, _: Instant) {}
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("timed", &self.timed).finish_non_exhaustive()
    }
}
