use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::failure::{FailureHook, RunFailure};
use super::limits::RunLimits;
use super::run_hub::RunHub;
use super::runs::Runs;
use super::shared::Shared;
use super::spawner::SpawnFn;
use crate::time::Timer;

const NO_TIMER: &str = "runs have no timer: enable the cargo feature `tokio`, or call `RunsBuilder::timer`";

/// Builder of [`Runs`].
///
/// ```
/// use std::time::Duration;
/// use tidings::LocalHub;
/// use tidings::runs::Runs;
///
/// # #[cfg(feature = "tokio")]
/// let runs = Runs::builder(&LocalHub::new())
///     .lifetime(Duration::from_secs(600))
///     .stop_when_unwatched(Duration::from_secs(60))
///     .on_failure(|failure| eprintln!("{failure}"))
///     .build();
/// ```
///
/// | limit | default | set by | if it is exceeded |
/// |---|---|---|---|
/// | events of a run | 100,000 | [`max_events`](Self::max_events) | the run fails |
/// | bytes of a run | 4 MiB | [`max_bytes`](Self::max_bytes) | the run fails |
/// | lifetime of a run | 1 h | [`lifetime`](Self::lifetime) | the run fails |
/// | time without a reader | none | [`stop_when_unwatched`](Self::stop_when_unwatched) | the run is stopped |
/// | live runs | 1,024 | [`max_live`](Self::max_live) | [`RunError::Busy`](crate::runs::RunError::Busy) |
/// | time that the history of an ended run is kept | 5 min | [`linger`](Self::linger) | its history is dropped |
/// | ended runs with history | 16,384 | [`max_ended`](Self::max_ended) | the history of the run that ended first is dropped |
/// | bytes of ended runs with history | 128 MiB | [`max_ended_bytes`](Self::max_ended_bytes) | the same |
/// | time for a drain | 10 s | [`drain_timeout`](Self::drain_timeout) | live runs fail |
/// | events published at once | 64, or 64 KiB | fixed | the task lets other tasks run |
#[must_use = "a builder does nothing until `build` is called"]
pub struct RunsBuilder {
    hub: RunHub,
    limits: RunLimits,
    timer: Option<Arc<dyn Timer>>,
    spawn: Option<SpawnFn>,
    hook: Option<FailureHook>,
}

impl RunsBuilder {
    pub(crate) fn new(hub: RunHub) -> Self {
        Self { hub, limits: RunLimits::default(), timer: None, spawn: None, hook: None }
    }

    /// Sets the maximum number of events of a run. A run with more fails. Default: 100,000, more tokens than the answer of a
    /// model has.
    ///
    /// The history of a run's topic holds all of them, whatever the hub's own [`Retention`](crate::Retention) is.
    pub fn max_events(mut self, events: usize) -> Self {
        self.limits.max_events = events;
        self
    }

    /// Sets the maximum sum of payloads, names and keys of a run, in bytes. A run with more fails. Default: 4 MiB, 40 bytes
    /// for each of 100,000 events.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_bytes = bytes;
        self
    }

    /// Sets the time after which a run fails if it has not ended. Default: 1 hour.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.limits.lifetime = lifetime;
        self
    }

    /// Sets the time that the history of a run is kept after its end, for clients that come back. Then
    /// [`subscribe`](Runs::subscribe) returns [`RunError::Gone`](crate::runs::RunError::Gone), and the topic may be started
    /// again. Default: 5 minutes.
    ///
    /// A reader that is still connected and has not read everything gets a gap and the end.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.limits.linger = linger;
        self
    }

    /// Sets the time without a reader after which a run is stopped, as by [`Runs::stop`]. It begins with the start of the
    /// run, and with the leave of its last reader. Default: none; a run without readers continues.
    ///
    /// A client that polls is no reader between its polls, so use more than twice the time between two polls.
    pub fn stop_when_unwatched(mut self, time: Duration) -> Self {
        self.limits.unwatched = Some(time);
        self
    }

    /// Sets the maximum number of live runs. [`start`](Runs::start) returns
    /// [`RunError::Busy`](crate::runs::RunError::Busy) for one more. Default: 1,024.
    ///
    /// The limit is for the runs of all users together. The application limits the runs of one user, for instance by counting
    /// the topics of the user in [`Runs::list`] before it calls `start`.
    pub fn max_live(mut self, runs: usize) -> Self {
        self.limits.max_live = runs;
        self
    }

    /// Sets the maximum number of ended runs whose history is kept. For one more, the history of the run that ended first is
    /// dropped before its [linger](Self::linger) time is over. Default: 16,384, 54 ends per second for 5 minutes.
    pub fn max_ended(mut self, runs: usize) -> Self {
        self.limits.max_ended = runs;
        self
    }

    /// Sets the maximum number of bytes of ended runs whose history is kept. Above it the history of the run that ended first
    /// is dropped before its [linger](Self::linger) time is over. Default: 128 MiB, half of the
    /// [budget](crate::LocalHubBuilder::max_bytes) of a hub.
    ///
    /// Bytes of live runs do not count. They are limited by [`max_live`](Self::max_live) and [`max_bytes`](Self::max_bytes).
    /// A hub whose own budget is exceeded evicts events of any topic. Readers of a run then get a gap in their place.
    pub fn max_ended_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_ended_bytes = bytes;
        self
    }

    /// Sets the time that a [drain](Runs::drain) waits for live runs. Default: 10 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.limits.drain_timeout = timeout;
        self
    }

    /// Sets a hook that is called for each run that fails, with the text of its error or panic, such as for a log. A second
    /// call replaces the hook. Default: none.
    ///
    /// It is the only place where the text appears: clients get an end with the reason `failed`. A panic of a stream that is
    /// dropped because its run was stopped, or of a reader's waker that is called by a publish, is reported, too, although
    /// that run has not failed. So is an end that a disk refuses, once. The hook is called under no lock, in the task of the run,
    /// by the call that ends it, or on the thread of a `DiskHub` that writes. There it must not wait for a publish to that hub,
    /// which the same thread stores. A panic of the hook is caught.
    pub fn on_failure(mut self, hook: impl Fn(&RunFailure<'_>) + Send + Sync + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// Sets the timer of all times. Default: tokio's, with the feature `tokio`. Without that feature a timer is required.
    pub fn timer(mut self, timer: impl Timer) -> Self {
        self.timer = Some(Arc::new(timer));
        self
    }

    /// Sets the function that starts the task of each run. Default: `tokio::spawn`, with the feature `tokio`. Without that
    /// feature a function is required, or [`Runs::start_unspawned`].
    pub fn spawn(mut self, spawn: impl Fn(Pin<Box<dyn Future<Output = ()> + Send>>) + Send + Sync + 'static) -> Self {
        self.spawn = Some(Arc::new(spawn));
        self
    }

    /// Returns the runs.
    ///
    /// # Panics
    ///
    /// Panics if there is no timer: the feature `tokio` is off, and [`timer`](Self::timer) was not called.
    #[must_use]
    pub fn build(self) -> Runs {
        let Self { hub, limits, timer, spawn, hook } = self;
        let timer = timer.or_else(default_timer).expect(NO_TIMER);
        Runs::of(Shared::new(hub, limits, timer, spawn, hook))
    }
}

#[cfg(feature = "tokio")]
fn default_timer() -> Option<Arc<dyn Timer>> {
    Some(Arc::new(crate::time::TokioTimer::default()))
}

#[cfg(not(feature = "tokio"))]
fn default_timer() -> Option<Arc<dyn Timer>> {
    None
}

impl fmt::Debug for RunsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunsBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}
