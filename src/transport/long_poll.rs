//! Long polls: one request, answered when there is an event or the wait is over.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::limit;
use super::reply::{Draft, Progress, Reply};
use crate::contract::Subscriber;
use crate::time::{Sleep, Timer};

/// Answers a long poll: with all that is there as soon as something is, or at the deadline with nothing.
///
/// A source without cursors, such as [`from_stream`](crate::subscriber::from_stream), is answered with everything up to its end, since
/// its client can't come back for the rest. If the end does not come before the deadline, or the events are more than
/// [`max_batch_bytes`](Self::max_batch_bytes), the reply [is not complete](Reply::is_complete).
///
/// `T` is what it sleeps with: the timer's boxed sleep, where no mount has one of its own.
///
/// Cancel-safe: dropping it loses nothing, for the client comes back with the cursor that it has. A client that has none
/// yet would lose what is published until it is back: give its poll an early deadline, so that it is answered soon with
/// its cursor. After the reply it stays pending.
///
/// ```
/// use std::time::Duration;
/// use tidings::Subscriber;
/// use tidings::time::Timer;
/// use tidings::transport::Reply;
/// use tidings::transport::long_poll::LongPollWaiter;
///
/// async fn poll(subscriber: impl Subscriber, timer: &dyn Timer) -> Reply {
///     let now = timer.now();
///     // At most one reply a second while the topic is busy, and one in 25 s while it is quiet.
///     LongPollWaiter::new(subscriber, timer, now + Duration::from_secs(25)).not_before(now + Duration::from_secs(1)).await
/// }
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct LongPollWaiter<S, T = Pin<Box<dyn Sleep>>> {
    /// Until the reply.
    subscriber: Option<S>,
    /// Events collected so far, while the reply is held back. Boxed, because most polls that wait have none.
    kept: Option<Box<Draft>>,
    max: usize,
    /// Set for the deadline, and for the earliest reply while events are kept back until then.
    sleep: T,
    deadline: Instant,
    /// When the earliest reply may go out; taken by the first events.
    not_before: Option<Instant>,
    finishing: bool,
}

impl<S: Subscriber> LongPollWaiter<S> {
    /// A poll of this subscriber, which begins where the client's cursor says, until `deadline`.
    pub fn new(subscriber: S, timer: &dyn Timer, deadline: Instant) -> Self {
        Self::asleep(subscriber, timer.sleep_until(deadline), deadline)
    }
}

impl<S: Subscriber, T: Sleep + Unpin> LongPollWaiter<S, T> {
    /// Returns a poll that uses an existing sleep, which ends at `deadline`.
    pub(crate) fn asleep(subscriber: S, sleep: T, deadline: Instant) -> Self {
        Self {
            subscriber: Some(subscriber),
            kept: None,
            max: limit::BATCH,
            sleep,
            deadline,
            not_before: None,
            finishing: false,
        }
    }

    /// At most so many bytes of events (64 KiB unless set), but always at least one event if there is one.
    pub fn max_batch_bytes(mut self, max: usize) -> Self {
        self.max = max;
        self
    }

    /// Keeps the reply back until `instant`, and collects what comes until then: a busy topic's client then polls no
    /// more often than that. A reply with `more`, a gap or the end is not kept back, and none beyond the deadline.
    pub fn not_before(mut self, instant: Instant) -> Self {
        self.not_before = Some(instant.min(self.deadline));
        self
    }

    /// Answers now: the next poll is ready with what is there, be it nothing. For a drain.
    pub fn finish(&mut self) {
        self.finishing = true;
    }
}

impl<S, T> Unpin for LongPollWaiter<S, T> {}

impl<S: Subscriber, T: Sleep + Unpin> Future for LongPollWaiter<S, T> {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        let this = &mut *self;
        let Some(subscriber) = &mut this.subscriber else {
            return Poll::Pending;
        };
        let draft = match this.kept.take() {
            Some(mut kept) => {
                let waits = kept.collect(subscriber, cx) != Progress::Urgent && !this.finishing;
                if waits && Pin::new(&mut this.sleep).poll(cx).is_pending() {
                    this.kept = Some(kept);
                    return Poll::Pending;
                }
                *kept
            }
            None => {
                let mut draft = Draft::new(this.max);
                match draft.collect(subscriber, cx) {
                    Progress::Urgent => {}
                    _ if this.finishing => {}
                    Progress::Nothing => ready!(Pin::new(&mut this.sleep).poll(cx)),
                    Progress::Partial => {
                        if Pin::new(&mut this.sleep).poll(cx).is_pending() {
                            this.kept = Some(Box::new(draft));
                            return Poll::Pending;
                        }
                    }
                    Progress::Events => {
                        if let Some(instant) = this.not_before.take() {
                            Pin::new(&mut this.sleep).reset(instant);
                            if Pin::new(&mut this.sleep).poll(cx).is_pending() {
                                this.kept = Some(Box::new(draft));
                                return Poll::Pending;
                            }
                        }
                    }
                }
                draft
            }
        };
        this.subscriber = None;
        Poll::Ready(draft.finish())
    }
}

impl<S, T> fmt::Debug for LongPollWaiter<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LongPollWaiter").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
