//! Long polls: each request is answered as soon as there is an event, or with an empty reply at its deadline.
//!
//! # Wire format
//!
//! A reply is the JSON object of a [short poll](crate::transport::short_poll). At the deadline it has no events and the
//! cursor up to which the source was read:
//!
//! ```json
//! {"cursor":"7.a9","events":[]}
//! ```
//!
//! The end of the last topic is not held. Its reply has `"end":true`, and the client needs no further poll. An
//! [`Endpoint`](crate::Endpoint#end) holds a poll that can get nothing but the end for 1 s, in case the client polls on:
//!
//! ```json
//! {"cursor":"7.b10","events":[{"id":"7.b10","end":{"topic":"news","reason":"done"}}],"end":true}
//! ```
//!
//! An [`Endpoint`](crate::Endpoint) takes the wait from `Prefer: wait=20` (RFC 7240 §4.3) or `?wait=20`, in seconds.
//!
//! # When to use it
//!
//! Use it if a proxy buffers streams, or if the client can only send requests and read replies. An event arrives at once,
//! but each reply costs a request: about four times the bytes of a stream for an event of 100 bytes. On a busy topic
//! [`not_before`](LongPollWaiter::not_before) collects several events into one reply.
//!
//! # Limits
//!
//! A reply contains at most [`max_batch_bytes`](LongPollWaiter::max_batch_bytes) of events, and at least one event if one is
//! ready. A reply that is full, or contains a gap or the end, is not delayed. Keep the deadline below the timeouts of
//! proxies, which commonly are 60 s. Give a client without a cursor an early deadline: until its first reply it has no cursor
//! to resume from. An endpoint answers it within 1 s.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use tidings::{LocalHub, Subscribe};
//! use tidings::time::{Clock, TokioTimer};
//! use tidings::transport::long_poll::LongPollWaiter;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (hub, timer) = (LocalHub::new(), TokioTimer::default());
//! let subscription = hub.subscribe(Subscribe::topics(["news"]))?;
//! let poll = LongPollWaiter::new(subscription, &timer, timer.now() + Duration::from_secs(25));
//!
//! let publisher = hub.clone();
//! let publishing = tokio::spawn(async move {
//!     tokio::time::sleep(Duration::from_secs(3)).await;
//!     publisher.publish("news", "first").await
//! });
//! let body = poll.await.into_parts().concat();
//!
//! let cursor = publishing.await??.cursor().expect("a local hub numbers its events");
//! let expected = format!(r#"{{"cursor":"{cursor}","events":[{{"id":"{cursor}","topic":"news","data":"first"}}]}}"#);
//! assert_eq!(body, expected.as_bytes());
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::limit;
use super::reply::{Draft, Progress, Reply};
use crate::contract::Subscriber;
use crate::time::{Sleep, Timer};

/// Adapter of a long poll: a future of the [`Reply`], ready as soon as there is an event, or at the deadline.
///
/// The [module page](self) has the wire format and an example of the bytes.
///
/// The reply of a source without cursors, such as [`from_stream`](crate::subscriber::from_stream), is ready at the end of
/// the source, because its client cannot poll for the rest. If the end does not come before the deadline, or the events are
/// more than [`max_batch_bytes`](Self::max_batch_bytes), the reply [is not complete](Reply::is_complete).
///
/// `T` is the type of its sleep. The default is the boxed sleep of a [`Timer`].
///
/// # Cancel safety
///
/// Dropping the future loses no event for a client that has a cursor, since its next poll begins there. A client without a
/// cursor misses the events until its next poll. After the reply the future is pending.
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
///     // At most one reply per second on a busy topic, and one in 25 s on a quiet one.
///     LongPollWaiter::new(subscriber, timer, now + Duration::from_secs(25)).not_before(now + Duration::from_secs(1)).await
/// }
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct LongPollWaiter<S, T = Pin<Box<dyn Sleep>>> {
    /// `None` after the reply.
    subscriber: Option<S>,
    /// Events collected so far, while the reply is delayed. Boxed, because most waiting polls have none.
    kept: Option<Box<Draft>>,
    max: usize,
    /// Sleep until the deadline, or until the earliest reply while events are kept for it.
    sleep: T,
    deadline: Instant,
    /// Instant of the earliest reply. Taken when the first events come.
    not_before: Option<Instant>,
    finishing: bool,
    /// Whether a reply with the end and no events waits for its earliest time.
    holds_end: bool,
}

impl<S: Subscriber> LongPollWaiter<S> {
    /// Creates a poll of this subscriber, which begins at the client's cursor, until `deadline`.
    ///
    /// # Panics
    ///
    /// Panics if the timer does, such as `TokioTimer` outside a tokio runtime.
    pub fn new(subscriber: S, timer: &dyn Timer, deadline: Instant) -> Self {
        Self::asleep(subscriber, timer.sleep_until(deadline), deadline)
    }
}

impl<S: Subscriber, T: Sleep + Unpin> LongPollWaiter<S, T> {
    /// Creates a poll that uses an existing sleep, which ends at `deadline`.
    pub(crate) fn asleep(subscriber: S, sleep: T, deadline: Instant) -> Self {
        Self {
            subscriber: Some(subscriber),
            kept: None,
            max: limit::BATCH,
            sleep,
            deadline,
            not_before: None,
            finishing: false,
            holds_end: false,
        }
    }

    /// Sets the maximum number of bytes of events in the reply. The reply contains at least one event if one is ready.
    /// Default: 64 KiB. It is about one TCP window.
    pub fn max_batch_bytes(mut self, max: usize) -> Self {
        self.max = max;
        self
    }

    /// Sets the earliest time of a reply with events. Until then events are collected, so that the client of a busy topic
    /// polls less often. A reply that is full, or contains a gap or the end, is not delayed. No reply is later than the
    /// deadline.
    pub fn not_before(mut self, instant: Instant) -> Self {
        self.not_before = Some(instant.min(self.deadline));
        self
    }

    /// Delays a reply with the end and no events until the earliest time of a reply, without one until the deadline. For a
    /// client that came after the end, and may poll on.
    #[cfg(feature = "http")]
    pub(crate) fn hold_end(self) -> Self {
        Self { holds_end: true, ..self }
    }

    /// Ends the wait: the next poll of the future is ready with the events so far, or with none. Used for a drain.
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
                let is_urgent = kept.collect(subscriber, cx) == Progress::Urgent;
                let waits = !(is_urgent && !(this.holds_end && kept.is_end_alone())) && !this.finishing;
                if waits && Pin::new(&mut this.sleep).poll(cx).is_pending() {
                    this.kept = Some(kept);
                    return Poll::Pending;
                }
                *kept
            }
            None => {
                let mut draft = Draft::new(this.max);
                match draft.collect(subscriber, cx) {
                    Progress::Urgent if !this.holds_end || !draft.is_end_alone() => {}
                    _ if this.finishing => {}
                    Progress::Nothing => ready!(Pin::new(&mut this.sleep).poll(cx)),
                    Progress::Partial => {
                        if Pin::new(&mut this.sleep).poll(cx).is_pending() {
                            this.kept = Some(Box::new(draft));
                            return Poll::Pending;
                        }
                    }
                    Progress::Events | Progress::Urgent => {
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
