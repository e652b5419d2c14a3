use std::task::Waker;
use std::time::Instant;

use super::dial::NEVER;
use super::turn::Wheel;
use crate::time::Clock;

/// One entry of the wheel, at one tick at most.
#[derive(Debug)]
pub(crate) struct Alarm {
    wheel: Wheel,
    /// Tick for which the alarm was set last. Once it is over, the place is no longer this alarm's: the turn empties
    /// it.
    tick: u64,
    place: u32,
    /// Whether a driver could not be started in the runtime of this alarm's task, so that it does not try again.
    cannot_start_driver: bool,
}

impl Alarm {
    pub(super) fn new(wheel: Wheel) -> Self {
        Self { wheel, tick: NEVER, place: 0, cannot_start_driver: false }
    }

    /// Sets the alarm, which wakes `waker` at `at` or within a tick after, and no more at any time set before. If a
    /// waker of the driver is returned, the caller wakes it after it has released its locks.
    #[must_use]
    pub(crate) fn set(&mut self, at: Instant, waker: Waker) -> Option<Waker> {
        let tick = self.wheel.ceil(at);
        let (replaced, driver) = {
            let mut works = self.wheel.works();
            let replaced = if self.has_place() {
                works.dial.replace(self.place, tick, waker)
            } else {
                self.place = works.dial.insert(tick, waker);
                None
            };
            (replaced, works.hasten(tick))
        };
        self.tick = tick;
        drop(replaced);
        driver
    }

    /// Sets the alarm, unless it is set to the same tick already.
    #[must_use]
    pub(crate) fn set_once(&mut self, at: Instant, waker: impl FnOnce() -> Waker) -> Option<Waker> {
        if self.tick == self.wheel.ceil(at) && self.has_place() { None } else { self.set(at, waker()) }
    }

    /// Whether the wheel has turned past what was set. A waker that is on its way may still come late, for a time that
    /// is no longer the one set: ask this before acting on it.
    pub(crate) fn is_due(&self) -> bool {
        self.tick <= self.wheel.turned()
    }

    pub(crate) fn now(&self) -> Instant {
        self.wheel.now()
    }

    /// Starts a driver if there is none, in the runtime of the task that calls this.
    #[inline]
    pub(crate) fn ensure_driver(&mut self) {
        if !self.wheel.has_driver() && !self.cannot_start_driver {
            self.start_driver();
        }
    }

    #[cold]
    #[inline(never)]
    fn start_driver(&mut self) {
        self.cannot_start_driver = !self.wheel.ensure_driver();
    }

    pub(crate) fn cancel(&mut self) {
        if self.has_place() {
            self.take_out();
        }
        self.tick = NEVER;
    }

    /// Apart, since most alarms that are cancelled have nothing set.
    #[inline(never)]
    fn take_out(&self) {
        let waker = {
            let mut works = self.wheel.works();
            // Only under the lock is it certain.
            if self.has_place() { works.dial.remove(self.place) } else { None }
        };
        // Outside the lock, as everything of a task's is dropped.
        drop(waker);
    }

    /// Whether the place is this alarm's.
    pub(super) fn has_place(&self) -> bool {
        self.tick != NEVER && !self.is_due()
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.cancel();
    }
}
