use std::task::Waker;
use std::time::Instant;

use super::dial::NEVER;
use super::shared_wheel::Wheel;
use crate::time::Clock;

/// One entry of the wheel, at one tick at most.
#[derive(Debug)]
pub(crate) struct Alarm {
    wheel: Wheel,
    /// Tick for which the alarm was set last. Once it is over, the place is no longer this alarm's, since the wheel has
    /// emptied it.
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
            (replaced, works.wake_by(tick))
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

    /// Returns whether the wheel has reached the time that was set. A wake may come late, for a time that was replaced, so
    /// ask this before acting on one.
    pub(crate) fn is_due(&self) -> bool {
        self.tick <= self.wheel.reached()
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

    /// Removes the entry. Out of line, since most alarms that are cancelled are not set.
    #[inline(never)]
    fn take_out(&self) {
        let waker = {
            let mut works = self.wheel.works();
            // It is certain only under the lock.
            if self.has_place() { works.dial.remove(self.place) } else { None }
        };
        // Outside the lock, as all values of tasks are dropped.
        drop(waker);
    }

    /// Returns whether the place is this alarm's.
    pub(super) fn has_place(&self) -> bool {
        self.tick != NEVER && !self.is_due()
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.cancel();
    }
}
