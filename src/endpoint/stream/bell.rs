use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::live::{Live, Piece};

/// A live stream that is polled only when there may be something: an HTTP connection polls its body whenever it does
/// anything, mostly for nothing.
///
/// The stream's waker is a bell. While the stream is asleep and the bell has not rung, a poll asks nobody else.
///
/// In this order, what a delivery touches is together: the last fields of the stream, and these.
#[repr(C)]
pub(crate) struct Awaited {
    live: Live,
    /// `None` before the first poll.
    rope: Option<Rope>,
    /// Nothing was there at the last poll, or nothing more.
    asleep: bool,
}

/// A bell, and what rings it.
struct Rope {
    bell: Arc<Bell>,
    waker: Waker,
}

#[derive(Debug)]
struct Bell {
    rung: AtomicBool,
    /// Who polls the stream. Another task gets a bell of its own, so that nothing is written to see that it is this one.
    task: Waker,
}

impl Awaited {
    pub(crate) fn new(live: Live) -> Self {
        Self { live, rope: None, asleep: false }
    }

    /// The next piece.
    #[inline]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Piece {
        match &self.rope {
            Some(rope) if rope.bell.task.will_wake(cx.waker()) => {
                if self.asleep && !rope.bell.has_rung() {
                    self.live.poll_waiting();
                    return Poll::Pending;
                }
                self.poll_awake()
            }
            _ => self.poll_by(cx.waker()),
        }
    }

    /// Out of line: most polls do not come so far.
    #[inline(never)]
    fn poll_awake(&mut self) -> Piece {
        let Some(rope) = &self.rope else { return Poll::Pending };
        let piece = self.live.poll(&mut Context::from_waker(&rope.waker));
        self.asleep = piece.is_pending() || self.live.waits();
        piece
    }

    /// Hangs up a bell for another task, which polls from now on.
    #[cold]
    fn poll_by(&mut self, task: &Waker) -> Piece {
        let bell = Arc::new(Bell { rung: AtomicBool::new(false), task: task.clone() });
        let waker = Waker::from(bell.clone());
        self.live.listen(&waker);
        self.rope = Some(Rope { bell, waker });
        self.poll_awake()
    }
}

impl Bell {
    /// Whether it has rung since this was asked last. Whoever rings it has its task polled, and so this asked again.
    #[inline]
    fn has_rung(&self) -> bool {
        // The swap sees what was done before each ring that it takes, not only before the one that was loaded.
        self.rung.load(Ordering::Relaxed) && self.rung.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Not a store: the poll that takes one of several rings is to see what was done before each.
        self.rung.swap(true, Ordering::AcqRel);
        self.task.wake_by_ref();
    }
}
