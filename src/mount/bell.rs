use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use atomic_waker::AtomicWaker;

use super::live::{Live, Piece};

/// A live stream that is polled only when there may be something: an HTTP connection polls its body whenever it does
/// anything, mostly for nothing.
///
/// The stream's waker is a bell. While the stream is asleep and the bell has not rung, a poll asks nobody else.
pub(super) struct Awaited {
    live: Live,
    bell: Arc<Bell>,
    rope: Waker,
    /// Nothing was there at the last poll.
    asleep: bool,
}

#[derive(Debug, Default)]
struct Bell {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Awaited {
    pub(super) fn new(live: Live) -> Self {
        let bell = Arc::<Bell>::default();
        Self { live, rope: Arc::clone(&bell).into(), bell, asleep: false }
    }

    /// The next piece.
    #[inline]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Piece {
        if self.asleep && !self.bell.has_rung(cx) {
            return Poll::Pending;
        }
        let piece = self.live.poll(&mut Context::from_waker(&self.rope));
        self.asleep = piece.is_pending();
        if self.asleep && self.bell.has_rung(cx) {
            // Before the bell knew the task, or by a stream that yields: another turn, after the others'.
            self.asleep = false;
            cx.waker().wake_by_ref();
        }
        piece
    }
}

impl Bell {
    /// Whether it has rung since this was asked last. If not, the task of `cx` is woken when it does.
    #[inline]
    fn has_rung(&self, cx: &Context<'_>) -> bool {
        // In this order: a ring that the second line does not see finds the task of the first.
        self.task.register(cx.waker());
        self.rung.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}
