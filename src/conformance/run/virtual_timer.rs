use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::time::{Clock, Sleep, StdClock, Timer};

/// A clock and timer whose time passes only in [`advance`](Self::advance). Clones share the time.
///
/// A sleep that is due wakes the task that polled it last, once, while time advances, in the order of the instants. The
/// timer calls no waker under its lock, so a woken task may poll, reset or drop sleeps at once.
#[derive(Clone)]
pub struct VirtualTimer(Arc<Mutex<State>>);

struct State {
    begin: Instant,
    now: Instant,
    looks: usize,
    polls: usize,
    next_id: u64,
    /// Sleeps that are not due, by instant, each with the waker of the task that polled it.
    sleeps: BTreeMap<(Instant, u64), Option<Waker>>,
}

impl VirtualTimer {
    /// Returns a timer whose time starts now and does not pass.
    #[must_use]
    pub fn new() -> Self {
        let now = StdClock::default().now();
        Self(Arc::new(Mutex::new(State { begin: now, now, looks: 0, polls: 0, next_id: 0, sleeps: BTreeMap::new() })))
    }

    /// Advances the time. Each sleep that becomes due wakes its task at its own instant.
    pub fn advance(&self, duration: Duration) {
        let end = self.state().now + duration;
        while let Some(waker) = self.next_due(end) {
            waker.into_iter().for_each(Waker::wake);
        }
        let mut state = self.state();
        state.now = state.now.max(end);
    }

    /// Advances the time to the instant of the next sleep. Returns the duration, or `None` if nothing sleeps.
    pub fn advance_to_next(&self) -> Option<Duration> {
        let duration = self.next_in()?;
        self.advance(duration);
        Some(duration)
    }

    /// Returns the duration until the next sleep is due.
    #[must_use]
    pub fn next_in(&self) -> Option<Duration> {
        let state = self.state();
        state.sleeps.keys().next().map(|(at, _)| *at - state.now)
    }

    /// Returns the duration since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let state = self.state();
        state.now - state.begin
    }

    /// Returns the milliseconds since the start.
    #[must_use]
    pub fn millis(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns the number of sleeps that are not due: 0 after all of them were dropped.
    #[must_use]
    pub fn sleeping(&self) -> usize {
        self.state().sleeps.len()
    }

    /// Returns the number of times that the clock was read.
    #[must_use]
    pub fn looks(&self) -> usize {
        self.state().looks
    }

    /// Returns the number of polls of sleeps.
    #[must_use]
    pub fn polls(&self) -> usize {
        self.state().polls
    }

    /// Moves time to the next sleep due by `end` and takes its waker.
    fn next_due(&self, end: Instant) -> Option<Option<Waker>> {
        let mut state = self.state();
        let entry = state.sleeps.first_entry().filter(|entry| entry.key().0 <= end)?;
        let ((at, _), waker) = entry.remove_entry();
        state.now = state.now.max(at);
        Some(waker)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for VirtualTimer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for VirtualTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualTimer").field("elapsed", &self.elapsed()).finish_non_exhaustive()
    }
}

impl Clock for VirtualTimer {
    fn now(&self) -> Instant {
        let mut state = self.state();
        state.looks += 1;
        state.now
    }
}

impl Timer for VirtualTimer {
    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Sleep>> {
        let mut state = self.state();
        let id = state.next_id;
        state.next_id += 1;
        if at > state.now {
            state.sleeps.insert((at, id), None);
        }
        Box::pin(VirtualSleep { timer: self.clone(), at, id, task: None })
    }
}

struct VirtualSleep {
    timer: VirtualTimer,
    at: Instant,
    id: u64,
    /// Waker of the task that polled last. A sleep that is reset still wakes it.
    task: Option<Waker>,
}

impl Future for VirtualSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.task = Some(cx.waker().clone());
        let mut state = this.timer.state();
        state.polls += 1;
        if this.at <= state.now {
            return Poll::Ready(());
        }
        state.sleeps.insert((this.at, this.id), this.task.clone());
        Poll::Pending
    }
}

impl Sleep for VirtualSleep {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        let this = &mut *self;
        let mut state = this.timer.state();
        state.sleeps.remove(&(this.at, this.id));
        this.at = at;
        if at > state.now {
            state.sleeps.insert((at, this.id), this.task.clone());
            return;
        }
        drop(state);
        this.task.iter().for_each(Waker::wake_by_ref);
    }
}

impl Drop for VirtualSleep {
    fn drop(&mut self) {
        let waker = self.timer.state().sleeps.remove(&(self.at, self.id));
        drop(waker);
    }
}
