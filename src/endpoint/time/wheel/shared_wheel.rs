use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use super::alarm::Alarm;
use super::dial::{Dial, LAST, NEVER, ROUND};
use super::driver_slot::{DriverSlot, StartDriver};
use crate::endpoint::catch_panic::catch_panic;
use crate::endpoint::mutex::Mutex;
use crate::time::{Clock, Timer};

/// Length of a tick, as a power of two of nanoseconds: 2²² ns, 4.2 ms. Entries that fall due within one tick are woken
/// together. The last tick is 584 years away. Later entries are due then.
pub(super) const TICK_BITS: u32 = 22;

/// Deadlines of one endpoint, behind one timer of the runtime. A handle: clones are the same wheel.
///
/// It is the [`Timer`] that the adapters get. The driver [advances](Self::advance) it, which wakes the entries that are
/// due.
#[derive(Clone, Debug)]
pub(crate) struct Wheel(Arc<Inner>);

pub(super) struct Inner {
    base: Arc<dyn Timer>,
    origin: Instant,
    /// Last tick that was reached. Entries for this tick and earlier ones were woken, or are woken now. Stored under the
    /// lock.
    reached: AtomicU64,
    driver: DriverSlot,
    works: Mutex<Works>,
}

/// State behind the lock. Wakers are woken and dropped outside of it, and cloned under it only after the driver was lost.
pub(super) struct Works {
    pub(super) dial: Dial,
    /// Tick until which the driver sleeps.
    armed: u64,
    driver: Option<Waker>,
    stopped: bool,
}

/// Next step of the driver after the wheel advanced.
#[derive(Debug)]
pub(crate) enum Advanced {
    /// The driver sleeps until then, or until it is woken.
    Until(Option<Instant>),
    /// The driver ends.
    Stopped,
}

impl Wheel {
    pub(crate) fn new(base: Arc<dyn Timer>, start: StartDriver) -> Self {
        let works = Works { dial: Dial::new(), armed: NEVER, driver: None, stopped: false };
        Self(Arc::new(Inner {
            origin: base.now(),
            base,
            reached: AtomicU64::new(0),
            driver: DriverSlot::new(start),
            works: Mutex::new(works),
        }))
    }

    /// Returns an alarm that is not set.
    pub(crate) fn alarm(&self) -> Alarm {
        Alarm::new(self.clone())
    }

    /// Returns the timer of the runtime.
    pub(crate) fn base(&self) -> &dyn Timer {
        &*self.0.base
    }

    /// Wakes the entries that are due. Returns the time of the next ones. The task of `cx` is woken if an earlier entry is
    /// set.
    pub(crate) fn advance(&self, cx: &mut Context<'_>) -> Advanced {
        let (mut due, waker) = (Vec::with_capacity(ROUND), cx.waker().clone());
        loop {
            let now = self.floor(self.now()).max(self.reached());
            {
                let mut works = self.works();
                self.0.reached.store(now, Ordering::Release);
                if works.dial.advance(now, &mut due) && due.is_empty() {
                    if works.stopped {
                        return Advanced::Stopped;
                    }
                    let armed = works.dial.next();
                    works.armed = armed;
                    let replaced = works.driver.replace(waker);
                    drop(works);
                    drop(replaced);
                    return Advanced::Until((armed != NEVER).then(|| self.instant(armed)));
                }
            }
            // A waker that panics must not keep the others asleep, nor end the driver.
            for waker in due.drain(..) {
                let _ = catch_panic(|| waker.wake());
            }
        }
    }

    /// Returns the time at which the wheel was made.
    pub(crate) fn begin(&self) -> Instant {
        self.0.origin
    }

    /// Returns the instant after this duration, or a distant one if the clock can't represent it.
    pub(crate) fn after(&self, duration: Duration) -> Instant {
        const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        self.now() + duration.min(FAR)
    }

    /// Ends the driver.
    pub(crate) fn stop(&self) {
        let driver = {
            let mut works = self.works();
            works.stopped = true;
            works.driver.take()
        };
        driver.into_iter().for_each(Waker::wake);
    }

    pub(super) fn driver_slot(&self) -> &DriverSlot {
        &self.0.driver
    }

    pub(super) fn works(&self) -> MutexGuard<'_, Works> {
        self.0.works.lock()
    }

    pub(super) fn reached(&self) -> u64 {
        self.0.reached.load(Ordering::Acquire)
    }

    /// Returns the first tick that is not before `at`.
    pub(super) fn ceil(&self, at: Instant) -> u64 {
        self.nanos(at).div_ceil(1 << TICK_BITS).min(LAST)
    }

    /// Returns the last tick that is over at `at`.
    fn floor(&self, at: Instant) -> u64 {
        self.nanos(at) >> TICK_BITS
    }

    fn nanos(&self, at: Instant) -> u64 {
        // 2⁶⁴ ns are 584 years.
        u64::try_from(at.saturating_duration_since(self.0.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    fn instant(&self, tick: u64) -> Instant {
        self.0.origin + Duration::from_nanos(tick << TICK_BITS)
    }
}

impl Works {
    /// Returns the driver's waker if the driver sleeps for longer than until `tick`. It is to be woken outside the lock.
    pub(super) fn wake_by(&mut self, tick: u64) -> Option<Waker> {
        if tick >= self.armed {
            return None;
        }
        self.armed = tick;
        self.driver.take()
    }
}

impl Clock for Wheel {
    /// Returns the time, which never goes back. The runtime's clock may be behind, if it is that of another runtime, which
    /// is paused. An entry that was set by such a clock would be due again and again.
    fn now(&self) -> Instant {
        self.0.base.now().max(self.instant(self.reached()))
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wheel").field("reached", &self.reached).finish_non_exhaustive()
    }
}
