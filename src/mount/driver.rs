use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::builder::EndpointBuilder;
use super::isolate::isolate;
use super::notify::Notifiers;
use super::wheel::{Turn, Wheel};
use crate::contract::{Clock, Sleep};
use crate::hub::NotifierSource;

/// The one task of an endpoint: turns its wheel, and runs its periodic jobs, on one timer of the runtime, and the notifiers
/// of hubs.
///
/// It sleeps while nothing is due, without an end while nothing is registered, and is over when the endpoint and its
/// last session are gone.
pub(super) struct Driver {
    wheel: Wheel,
    jobs: Vec<(Job, Instant)>,
    notifiers: Notifiers,
    sleep: Option<Pin<Box<dyn Sleep>>>,
    /// Held while the driver lives, so that there is one, and that another may follow it.
    seat: Seat,
}

/// What the application wants done every so often: a hub's sweep.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) period: Duration,
    pub(super) run: Arc<dyn Fn() + Send + Sync>,
}

impl EndpointBuilder {
    /// Runs this in the driver every so often, beginning one period from its start: a hub's sweep. It should be short,
    /// for it keeps the endpoint's deadlines waiting. Add as many as there are.
    pub fn every(mut self, period: Duration, run: impl Fn() + Send + Sync + 'static) -> Self {
        // None may be due at once again.
        self.jobs.push(Job { period: period.max(Duration::from_millis(1)), run: Arc::new(run) });
        self
    }
}

/// The place of the one driver.
#[derive(Clone, Default)]
pub(super) struct Seat(Arc<AtomicBool>);

impl Seat {
    pub(super) fn is_taken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Driver {
    /// The driver, unless there is one.
    pub(super) fn take(seat: &Seat, wheel: &Wheel, jobs: &[Job], notifiers: &[NotifierSource]) -> Option<Self> {
        if seat.0.swap(true, Ordering::AcqRel) {
            return None;
        }
        let jobs = jobs.iter().map(|job| (job.clone(), wheel.after(job.period))).collect();
        let notifiers = Notifiers::new(notifiers);
        Some(Self { wheel: wheel.clone(), jobs, notifiers, sleep: None, seat: seat.clone() })
    }

    /// Runs the jobs that are due; the next one's time.
    fn run_jobs(&mut self) -> Option<Instant> {
        if self.jobs.is_empty() {
            return None;
        }
        let now = self.wheel.now();
        for (job, next) in &mut self.jobs {
            if *next <= now {
                // A job that panics must not stop the others, nor every session's deadlines.
                let _ = isolate(|| (job.run)());
                *next = self.wheel.after(job.period);
            }
        }
        self.jobs.iter().map(|&(_, next)| next).min()
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.notifiers.poll(cx);
        loop {
            let job = this.run_jobs();
            let Turn::Next(due) = this.wheel.turn(cx) else {
                return Poll::Ready(());
            };
            let Some(at) = due.into_iter().chain(job).min() else {
                return Poll::Pending;
            };
            match &mut this.sleep {
                Some(sleep) => sleep.as_mut().reset(at),
                none => *none = Some(this.wheel.base().sleep_until(at)),
            }
            if let Some(sleep) = &mut this.sleep {
                ready!(sleep.as_mut().poll(cx));
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.seat.0.store(false, Ordering::Release);
    }
}
