use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll, RawWakerVTable, Waker};
use std::time::Instant;

use super::wheel::{Alarm, Wheel};
use crate::time::{Sleep, Timer};

impl Timer for Wheel {
    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(self.sleep(at))
    }
}

impl Wheel {
    /// Returns a sleep until `at` without an allocation.
    pub(crate) fn sleep(&self, at: Instant) -> WheelSleep {
        WheelSleep { at, set_for: at, task: None, alarm: self.alarm() }
    }
}

/// Sleep on the wheel. Moving it to a later time does not touch the wheel: the old entry fires, and the sleep sets the
/// rest then. Keep-alives are moved with every event.
pub(crate) struct WheelSleep {
    at: Instant,
    /// Task that the alarm wakes at `at` or before, while it is set.
    task: Option<Task>,
    /// Time for which the alarm is set.
    set_for: Instant,
    alarm: Alarm,
}

/// Identity of the waker that the alarm has. No other waker can have its address while the alarm has it, so the sleep
/// keeps no second one.
struct Task {
    data: usize,
    vtable: &'static RawWakerVTable,
}

impl Task {
    fn of(waker: &Waker) -> Self {
        Self { data: waker.data().addr(), vtable: waker.vtable() }
    }

    fn has(&self, waker: &Waker) -> bool {
        self.data == waker.data().addr() && ptr::eq(self.vtable, waker.vtable())
    }
}

impl Future for WheelSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.task.as_ref().is_some_and(|task| task.has(cx.waker())) && !this.alarm.is_due() {
            this.alarm.ensure_driver();
            return Poll::Pending;
        }
        if this.alarm.now() >= this.at {
            this.task = None;
            this.alarm.cancel();
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        this.set_for = this.at;
        this.task = Some(Task::of(&waker));
        if let Some(driver) = this.alarm.set(this.at, waker) {
            driver.wake();
        }
        // Last: a driver that ended before this did not wake the task.
        this.alarm.ensure_driver();
        Poll::Pending
    }
}

impl Sleep for WheelSleep {
    fn reset(self: Pin<&mut Self>, at: Instant) {
        let this = self.get_mut();
        this.at = at;
        if at < this.set_for {
            // Too late for the alarm: the next poll sets it anew.
            this.task = None;
        }
    }
}
