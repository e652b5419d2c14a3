use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::notify::Notifiers;
use super::wheel::{Advanced, Wheel};
use crate::endpoint::builder::EndpointBuilder;
use crate::endpoint::catch_panic::catch_panic;
use crate::hub::NotifierSource;
use crate::time::{Clock, Sleep};

/// The one task of an endpoint. It advances the timer wheel and runs periodic jobs, on one timer of the runtime, and runs
/// the notifiers of hubs.
///
/// It sleeps while nothing is due, and is ready when the endpoint and its last session are gone. If it is dropped before,
/// because its runtime ends, it panics or it is aborted, it wakes the tasks and sessions that have an alarm. The first
/// task that runs starts another driver.
pub(crate) struct Driver {
    wheel: Wheel,
    jobs: Vec<(Job, Instant)>,
    notifiers: Notifiers,
    sleep: Option<Pin<Box<dyn Sleep>>>,
    launch: Launch,
    stage: Stage,
}

/// Stage of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Unpolled,
    /// In its first poll. A driver that panics there is not followed by another, which would panic too.
    First,
    Running,
    /// The endpoint is gone. Its wheel needs no other driver.
    Over,
}

/// State of a driver's start, shared by the driver and the code that starts it.
#[derive(Clone, Default)]
pub(crate) struct Launch(Arc<AtomicU8>);

const LAUNCHED: u8 = 1;
const DROPPED: u8 = 2;

impl Launch {
    /// Ends the start: from here on, a driver that is dropped wakes the tasks that can start another. Returns `false` if it
    /// was dropped already: a runtime that is shut down drops a task at once.
    pub(crate) fn finish(&self) -> bool {
        self.0.swap(LAUNCHED, Ordering::AcqRel) != DROPPED
    }
}

/// Periodic job of the application, such as a hub's sweep.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) period: Duration,
    pub(crate) run: Arc<dyn Fn() + Send + Sync>,
}

impl EndpointBuilder {
    /// Adds a job, such as a hub's sweep, that the driver runs once each period. The first run is one period after the
    /// driver's start. A job should be short, since the endpoint's timers wait for it.
    pub fn run_every(mut self, period: Duration, run: impl Fn() + Send + Sync + 'static) -> Self {
        // A job must not be due again at once.
        self.jobs.push(Job { period: period.max(Duration::from_millis(1)), run: Arc::new(run) });
        self
    }
}

impl Driver {
    /// Returns the driver, unless there is one. Its [`launch`](Self::launch) must be finished.
    pub(crate) fn take(wheel: &Wheel, jobs: &[Job], notifiers: &[NotifierSource]) -> Option<Self> {
        if !wheel.take_driver_slot() {
            return None;
        }
        let jobs = jobs.iter().map(|job| (job.clone(), wheel.after(job.period))).collect();
        let (notifiers, launch, stage) = (Notifiers::new(notifiers), Launch::default(), Stage::Unpolled);
        Some(Self { wheel: wheel.clone(), jobs, notifiers, sleep: None, launch, stage })
    }

    pub(crate) fn launch(&self) -> Launch {
        self.launch.clone()
    }

    /// Runs the jobs that are due. Returns the time of the next one.
    fn run_jobs(&mut self) -> Option<Instant> {
        if self.jobs.is_empty() {
            return None;
        }
        let now = self.wheel.now();
        for (job, next) in &mut self.jobs {
            if *next <= now {
                // A job that panics must not stop the others, nor every session's deadlines.
                let _ = catch_panic(|| (job.run)());
                *next = self.wheel.after(job.period);
            }
        }
        self.jobs.iter().map(|&(_, next)| next).min()
    }
}

impl Driver {
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.notifiers.poll(cx);
        loop {
            let job = self.run_jobs();
            let Advanced::Until(due) = self.wheel.advance(cx) else {
                self.stage = Stage::Over;
                return Poll::Ready(());
            };
            let Some(at) = due.into_iter().chain(job).min() else {
                return Poll::Pending;
            };
            ready!(self.sleep_until(at, cx));
        }
    }

    fn sleep_until(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(sleep) = &mut self.sleep {
            // A sleep of tokio panics after its runtime has ended, if this future was moved to another runtime.
            let polled = catch_panic(|| {
                sleep.as_mut().reset(at);
                sleep.as_mut().poll(cx)
            });
            if let Ok(polled) = polled {
                return polled;
            }
        }
        self.sleep.insert(self.wheel.base().sleep_until(at)).as_mut().poll(cx)
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.stage == Stage::Unpolled {
            this.stage = Stage::First;
        }
        let polled = this.advance(cx);
        if this.stage == Stage::First {
            this.stage = Stage::Running;
        }
        polled
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.stage == Stage::Over {
            return;
        }
        let has_failed = self.stage == Stage::First;
        if has_failed {
            self.wheel.note_driver_failure();
        }
        self.wheel.release_driver_slot();
        let was_launched = self.launch.0.swap(DROPPED, Ordering::AcqRel) == LAUNCHED;
        if was_launched && !has_failed {
            self.wheel.wake_for_driver();
        }
    }
}
