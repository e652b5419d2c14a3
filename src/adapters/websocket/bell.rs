use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use atomic_waker::AtomicWaker;

/// What wakes a connection's task for anything but events: the connection itself, its deadlines, the handler.
///
/// Events wake the task past it, so that a poll before which it has not rung is one that only the subscriber is asked
/// for. That both directions of the connection have one bell matters to TLS, where a read may wait for a write.
pub(super) struct Bell {
    ring: Arc<Ring>,
    /// What rings it.
    rope: Waker,
    /// Whom it wakes, kept here too so that nothing is locked to see that it is still this one.
    task: Option<Waker>,
}

#[derive(Default)]
struct Ring {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Bell {
    /// Whether there may be more than events: it has rung since this was asked last, or it didn't know the task of `cx`.
    /// If not, that task is woken when it rings.
    #[inline]
    pub(super) fn has_rung(&mut self, cx: &Context<'_>) -> bool {
        match &self.task {
            Some(task) if task.will_wake(cx.waker()) && !self.ring.rung.load(Ordering::Acquire) => false,
            _ => self.answer(cx),
        }
    }

    #[cold]
    fn answer(&mut self, cx: &Context<'_>) -> bool {
        // In this order: a ring that the second line does not see finds the task of the first.
        self.ring.task.register(cx.waker());
        self.ring.rung.swap(false, Ordering::AcqRel);
        self.task = Some(cx.waker().clone());
        true
    }

    /// For what is to ring it.
    #[inline]
    pub(super) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.rope)
    }
}

impl Default for Bell {
    fn default() -> Self {
        let ring = Arc::<Ring>::default();
        Self { rope: Arc::clone(&ring).into(), ring, task: None }
    }
}

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A swap, not a store: what follows is ordered behind it, as in `answer`.
        self.rung.swap(true, Ordering::AcqRel);
        self.task.wake();
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").field("rung", &self.ring.rung).finish_non_exhaustive()
    }
}
