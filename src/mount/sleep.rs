use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::wheel::{Alarm, Wheel};
use crate::contract::{Sleep, Timer};

impl Timer for Wheel {
    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(self.sleep(at))
    }
}

impl Wheel {
    /// The same in no allocation of its own.
    pub(super) fn sleep(&self, at: Instant) -> WheelSleep {
        WheelSleep { at, set_for: at, waker: None, alarm: self.alarm() }
    }
}

/// A sleep that is moved to later, as a keep-alive is with every event, without touching the wheel: it lets the old
/// entry come and sets the rest.
pub(super) struct WheelSleep {
    at: Instant,
    /// The task that the alarm wakes at `at` or before, while it is set.
    waker: Option<Waker>,
    /// What it is set for.
    set_for: Instant,
    alarm: Alarm,
}

impl Future for WheelSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if let Some(waker) = &this.waker {
            if waker.will_wake(cx.waker()) && !this.alarm.is_due() {
                return Poll::Pending;
            }
        }
        if this.alarm.now() >= this.at {
            this.waker = None;
            this.alarm.cancel();
            return Poll::Ready(());
        }
        this.set_for = this.at;
        this.waker = Some(cx.waker().clone());
        let driver = this.alarm.set(this.at, cx.waker().clone());
        driver.into_iter().for_each(Waker::wake);
        Poll::Pending
    }
}

impl Sleep for WheelSleep {
    fn reset(self: Pin<&mut Self>, at: Instant) {
        let this = self.get_mut();
        this.at = at;
        if at < this.set_for {
            // Too late for the alarm: the next poll sets it anew.
            this.waker = None;
        }
    }
}
