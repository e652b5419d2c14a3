use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

/// Wakes a connection's task for everything but events: the connection itself, its deadlines, the handler.
///
/// Events wake the task past it, so that a poll before which it has not rung is one that only the subscriber is asked
/// for. That both directions of the connection have one bell matters to TLS, where a read may wait for a write.
pub(super) struct Bell {
    ring: Arc<Ring>,
    /// Waker that sets the flag.
    rope: Waker,
}

struct Ring {
    rung: AtomicBool,
    /// Waker of the task. It stays here when the flag is set: a thread that is about to wake the task must not take the
    /// waker from later ones.
    task: Waker,
}

impl Bell {
    /// Whether there may be more than events: it has rung since this was asked last, or it didn't know the task of `cx`.
    /// If not, that task is woken when it rings. If so, whatever is to ring it must be asked again.
    #[inline]
    pub(super) fn has_rung(&mut self, cx: &Context<'_>) -> bool {
        match self.ring.task.will_wake(cx.waker()) {
            true => self.ring.rung.load(Ordering::Relaxed) && self.ring.rung.swap(false, Ordering::AcqRel),
            false => self.answer(cx),
        }
    }

    /// Hangs up another bell, for another task.
    #[cold]
    fn answer(&mut self, cx: &Context<'_>) -> bool {
        *self = Self::of(cx.waker().clone(), false);
        true
    }

    fn of(task: Waker, rung: bool) -> Self {
        let ring = Arc::new(Ring { rung: AtomicBool::new(rung), task });
        Self { rope: Arc::clone(&ring).into(), ring }
    }

    /// For what is to ring it.
    #[inline]
    pub(super) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.rope)
    }
}

impl Default for Bell {
    /// One that has rung, for nobody yet.
    fn default() -> Self {
        Self::of(Waker::noop().clone(), true)
    }
}

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A swap, not a store: whoever answers one ring sees what was done before each ring up to that one.
        self.rung.swap(true, Ordering::AcqRel);
        self.task.wake_by_ref();
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").field("rung", &self.ring.rung).finish_non_exhaustive()
    }
}
