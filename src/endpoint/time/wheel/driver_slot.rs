use std::sync::atomic::{AtomicBool, Ordering};

use super::dial::ROUND;
use super::shared_wheel::Wheel;
use crate::endpoint::catch_panic::catch_panic;

/// Starts a driver where the caller runs, if there is none. Returns `false` if none can be started there.
pub(crate) type StartDriver = Box<dyn Fn(&Wheel) -> bool + Send + Sync>;

/// Slot of an endpoint's one driver.
pub(super) struct DriverSlot {
    is_taken: AtomicBool,
    /// Whether the last driver panicked in its first poll.
    has_failed: AtomicBool,
    start: StartDriver,
}

impl DriverSlot {
    pub(super) fn new(start: StartDriver) -> Self {
        Self { is_taken: AtomicBool::new(false), has_failed: AtomicBool::new(false), start }
    }

    fn is_taken(&self) -> bool {
        self.is_taken.load(Ordering::Acquire)
    }
}

impl Wheel {
    /// Returns whether there is a driver.
    pub(crate) fn has_driver(&self) -> bool {
        self.driver_slot().is_taken()
    }

    /// Takes the driver's slot. Returns `false` if there is a driver.
    pub(crate) fn take_driver_slot(&self) -> bool {
        !self.driver_slot().is_taken.swap(true, Ordering::AcqRel)
    }

    /// Releases the driver's slot.
    pub(crate) fn release_driver_slot(&self) {
        self.driver_slot().is_taken.store(false, Ordering::Release);
    }

    /// Notes that a driver panicked before it ran once.
    pub(crate) fn note_driver_failure(&self) {
        self.driver_slot().has_failed.store(true, Ordering::Release);
    }

    /// Returns whether a driver panicked before it ran once, since this was last called.
    pub(crate) fn take_driver_failure(&self) -> bool {
        self.driver_slot().has_failed.swap(false, Ordering::AcqRel)
    }

    /// Starts a driver where the caller runs, if there is none. Returns `false` if none can be started there.
    pub(crate) fn ensure_driver(&self) -> bool {
        self.has_driver() || (self.driver_slot().start)(self)
    }

    /// Wakes the tasks that have an alarm, until one of them has started a driver.
    ///
    /// The caller must have released the driver's slot. A task that sets an alarm meanwhile checks for a driver after
    /// that.
    pub(crate) fn wake_for_driver(&self) {
        let (mut page, mut wakers) = (Some(0), Vec::with_capacity(ROUND));
        while let Some(from) = page.filter(|_| !self.has_driver()) {
            page = self.works().dial.wakers(from, &mut wakers);
            for waker in wakers.drain(..) {
                let _ = catch_panic(|| waker.wake());
            }
        }
    }
}
