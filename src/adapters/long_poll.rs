use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::reply::{Draft, Progress, Reply};
use crate::contract::{Sleep, Subscriber, Timer};

/// Answers a long poll: with all that is there as soon as something is, or at the deadline with nothing.
///
/// Cancel-safe: dropping it loses nothing, for the client comes back with the cursor that it has. After the reply it
/// stays pending.
///
/// ```
/// use std::time::Duration;
/// use tidings::{LongPollWaiter, Reply, Subscriber, Timer};
///
/// async fn poll(subscriber: impl Subscriber, timer: &dyn Timer) -> Reply {
///     let now = timer.now();
///     // At most one reply a second while the topic is busy, and one in 25 s while it is quiet.
///     LongPollWaiter::new(subscriber, timer, now + Duration::from_secs(25)).not_before(now + Duration::from_secs(1)).await
/// }
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct LongPollWaiter<S> {
    /// The subscriber and what it gave so far, until the reply.
    waiting: Option<(S, Draft)>,
    sleep: Pin<Box<dyn Sleep>>,
    deadline: Instant,
    /// Whether the sleep is that before the earliest reply rather than that before the deadline.
    early: bool,
    finishing: bool,
}

impl<S: Subscriber> LongPollWaiter<S> {
    /// A poll of this subscriber, which begins where the client's cursor says, until `deadline`.
    pub fn new(subscriber: S, timer: &dyn Timer, deadline: Instant) -> Self {
        let waiting = Some((subscriber, Draft::default()));
        Self { waiting, sleep: timer.sleep_until(deadline), deadline, early: false, finishing: false }
    }

    /// At most so many bytes of events (64 KiB unless set), but always at least one event if there is one.
    pub fn max_bytes(mut self, max: usize) -> Self {
        if let Some((_, draft)) = &mut self.waiting {
            draft.set_max(max);
        }
        self
    }

    /// Keeps the reply back until `instant`, and collects what comes until then: a busy topic's client then polls no
    /// more often than that. A reply with `more`, a gap or the end is not kept back, and none beyond the deadline.
    pub fn not_before(mut self, instant: Instant) -> Self {
        self.early = true;
        self.sleep.as_mut().reset(instant.min(self.deadline));
        self
    }

    /// Answers now: the next poll is ready with what is there, be it nothing. For a drain.
    pub fn finish(&mut self) {
        self.finishing = true;
    }
}

impl<S> Unpin for LongPollWaiter<S> {}

impl<S: Subscriber> Future for LongPollWaiter<S> {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        let this = &mut *self;
        let Some((subscriber, draft)) = &mut this.waiting else {
            return Poll::Pending;
        };
        let progress = draft.collect(subscriber, cx);
        loop {
            match progress {
                Progress::Urgent => break,
                _ if this.finishing => break,
                Progress::Events if !this.early => break,
                Progress::Events | Progress::Nothing => {}
            }
            ready!(this.sleep.as_mut().poll(cx));
            if !this.early {
                break;
            }
            this.early = false;
            this.sleep.as_mut().reset(this.deadline);
        }
        match this.waiting.take() {
            Some((_, draft)) => Poll::Ready(draft.finish()),
            None => Poll::Pending,
        }
    }
}

impl<S> fmt::Debug for LongPollWaiter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LongPollWaiter").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
