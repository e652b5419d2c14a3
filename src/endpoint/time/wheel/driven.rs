use std::sync::atomic::Ordering;

use super::dial::ROUND;
use super::turn::Wheel;
use crate::endpoint::isolate::isolate;

/// The place of the one driver.
impl Wheel {
    pub(crate) fn is_driven(&self) -> bool {
        self.0.driven.load(Ordering::Acquire)
    }

    /// Takes the place of the driver. Returns `false` if there is one.
    pub(crate) fn take_place(&self) -> bool {
        !self.0.driven.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn leave_place(&self) {
        self.0.driven.store(false, Ordering::Release);
    }

    /// Marks that a driver panicked before it ran once.
    pub(crate) fn mark_failed(&self) {
        self.0.failed.store(true, Ordering::Release);
    }

    /// Returns whether a driver panicked before it ran once, since this was last asked.
    pub(crate) fn take_failed(&self) -> bool {
        self.0.failed.swap(false, Ordering::AcqRel)
    }

    /// Starts a driver where the caller runs, if there is none and one can be started there.
    pub(crate) fn ensure_driver(&self) {
        if !self.is_driven() {
            self.drive();
        }
    }

    /// Starts a driver where the caller runs, if there is none. Returns `false` if none can be started there.
    pub(crate) fn drive(&self) -> bool {
        (self.0.start)(self)
    }

    /// Wakes the tasks that have an alarm, until one of them has started a driver.
    ///
    /// The caller must have left the driver's place. A task that sets an alarm meanwhile checks for a driver after that.
    pub(crate) fn call_for_driver(&self) {
        let (mut page, mut wakers) = (Some(0), Vec::with_capacity(ROUND));
        while let Some(from) = page.filter(|_| !self.is_driven()) {
            page = self.works().dial.wakers(from, &mut wakers);
            for waker in wakers.drain(..) {
                let _ = isolate(|| waker.wake());
            }
        }
    }
}
