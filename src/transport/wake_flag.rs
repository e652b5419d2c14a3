//! A flag by which a task finds the source that woke it.
//!
//! A task is polled for many reasons. A future that depends on a slow or locked source asks it only if the source has
//! woken the task since the last time: it gives the source the flag's waker in place of its task's, and asks again when
//! the flag was raised.
//!
//! # Promises
//!
//! - A wake raises the flag first and wakes the task then, so the poll that follows finds the flag raised.
//! - [`take`](WakeFlag::take) sees everything that was done before each wake that it takes. Both sides are swaps: after
//!   a plain store, the taker of two wakes would see only what was done before the second.
//! - A flag has one task, which never changes. Another task gets another flag, so a poll compares and writes nothing.
//!
//! # Failure
//!
//! Take the flag before the source is asked: a wake in between raises it again. If the flag is taken after the source was
//! asked, a wake in between is lost.
//!
//! # Differences from `AtomicWaker`
//!
//! An `AtomicWaker` keeps the waker that was registered last, and a wake removes it, so each poll registers again. It does
//! not show whether it was woken.

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, Ordering};

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

/// Flag that a wake raises, and the task that is woken then.
pub(crate) struct WakeFlag(Arc<State>);

/// A [`WakeFlag`] together with its waker, for sources that are asked often.
#[derive(Debug)]
pub(crate) struct FlaggedWaker {
    flag: WakeFlag,
    waker: Waker,
}

struct State {
    is_raised: AtomicBool,
    /// It stays here when it is woken, so that a second wake finds it too.
    task: Waker,
}

impl WakeFlag {
    /// Returns a flag for this task.
    pub(crate) fn new(task: Waker, is_raised: bool) -> Self {
        Self(Arc::new(State { is_raised: AtomicBool::new(is_raised), task }))
    }

    /// Returns the waker that raises the flag.
    pub(crate) fn waker(&self) -> Waker {
        self.0.clone().into()
    }

    /// Returns whether the flag wakes the task of `cx`.
    #[inline]
    pub(crate) fn is_for(&self, cx: &Context<'_>) -> bool {
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

impl FlaggedWaker {
    /// Returns the flag of this task, not raised.
    pub(crate) fn new(task: Waker) -> Self {
        Self::of(WakeFlag::new(task, false))
    }

    fn of(flag: WakeFlag) -> Self {
        Self { waker: flag.waker(), flag }
    }

    #[inline]
    pub(crate) fn is_for(&self, cx: &Context<'_>) -> bool {
        self.flag.is_for(cx)
    }

    #[inline]
    pub(crate) fn take(&self) -> bool {
        self.flag.take()
    }

    /// Lowers the flag, or replaces it if it is another task's. Returns whether the sources are to be asked, with the new
    /// [`waker`](Self::waker): the flag was raised or replaced.
    #[inline]
    pub(crate) fn take_for(&mut self, cx: &Context<'_>) -> bool {
        if self.is_for(cx) { self.take() } else { self.replace(cx) }
    }

    #[cold]
    fn replace(&mut self, cx: &Context<'_>) -> bool {
        *self = Self::new(cx.waker().clone());
        true
    }

    /// Returns the waker that raises the flag.
    #[inline]
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Returns a context with the waker that raises the flag.
    #[inline]
    pub(crate) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }
}

impl Default for FlaggedWaker {
    /// Returns a flag of no task that is raised.
    fn default() -> Self {
        Self::of(WakeFlag::new(Waker::noop().clone(), true))
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
