//! A flag and the task that polls it: which source of wakes had something to say.
//!
//! A task is polled for many reasons. A future that depends on a slow or locked source asks it only if the source has
//! woken the task since the last time. It gives the source the flag's [waker](WakeFlag::waker) in place of its task's, and
//! asks again when the flag is [raised](WakeFlag::take).
//!
//! # Promises
//!
//! - A wake raises the flag first and wakes the task then, so the poll that follows finds it raised.
//! - [`take`](WakeFlag::take) sees everything that was done before each wake that it takes. Both sides are swaps: with a
//!   plain store, a take of the second of two wakes would not see what was done before the first.
//! - The task never changes. Another task gets another flag, so a poll writes nothing to see that its task is the same.
//!
//! # Failure
//!
//! A flag that is taken before the source is asked loses nothing: a wake in between raises it again. One that is taken
//! after the source was asked loses the wakes in between.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, Ordering};

/// Flag that a wake raises, with the task that is woken then.
pub(crate) struct WakeFlag(Arc<State>);

struct State {
    is_raised: AtomicBool,
    /// It stays here when it is woken, so that a second wake finds it too.
    task: Waker,
}

impl WakeFlag {
    /// Returns a flag for this task that is not raised.
    pub(crate) fn new(task: Waker) -> Self {
        Self(Arc::new(State { is_raised: AtomicBool::new(false), task }))
    }

    /// Returns the waker that raises the flag.
    pub(crate) fn waker(&self) -> Waker {
        self.0.clone().into()
    }

    /// Returns whether the flag wakes the task of `cx`.
    #[inline]
    pub(crate) fn wakes(&self, cx: &Context<'_>) -> bool {
        self.0.task.will_wake(cx.waker())
    }

    /// Returns whether the flag is raised.
    #[inline]
    pub(crate) fn is_raised(&self) -> bool {
        self.0.is_raised.load(Ordering::Relaxed)
    }

    /// Lowers the flag. Returns whether it was raised.
    #[inline]
    pub(crate) fn take(&self) -> bool {
        self.is_raised() && self.0.is_raised.swap(false, Ordering::AcqRel)
    }
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_raised.swap(true, Ordering::AcqRel);
        self.task.wake_by_ref();
    }
}

impl fmt::Debug for WakeFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WakeFlag").field(&self.is_raised()).finish()
    }
}
