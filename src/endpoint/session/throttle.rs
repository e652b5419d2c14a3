use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::contract::Head;
use crate::endpoint::time::sleep::WheelSleep;
use crate::endpoint::time::wheel::Wheel;
use crate::model::Cursor;
use crate::time::{Clock, Sleep};

/// Least time between two deliveries to a session, see [`Accepted::with_throttle`](crate::Accepted::with_throttle).
///
/// One delivery is everything that the source had when its first part was read, in as many parts as the transport
/// needs. The time begins with its last part. Until the time is over, the source is not polled: the unread events stay
/// in the log.
pub(super) struct Throttle {
    interval: Duration,
    /// Instant at which the interval began.
    closed_at: Instant,
    sleep: WheelSleep,
    /// Head of the source. Without it a delivery has one part.
    head: Option<Arc<dyn Head>>,
    gate: Gate,
    /// Whether the source was registered since the gate was closed.
    is_registered: bool,
    /// Cursor at which the delivery ends, if that is known.
    end: Option<Cursor>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// The time is over, and nothing was delivered since.
    Open,
    /// A part was delivered, and more may follow.
    Reading,
    /// The time is not over, or was not when the source was last to be polled.
    Closed,
}

impl Throttle {
    pub(super) fn new(interval: Duration, head: Option<Arc<dyn Head>>, wheel: &Wheel) -> Self {
        let closed_at = wheel.begin();
        let sleep = wheel.sleep(closed_at);
        Self { interval, closed_at, sleep, head, gate: Gate::Open, is_registered: false, end: None }
    }

    /// Forbids polls of the source until this instant.
    pub(super) fn close_until(&mut self, at: Instant) {
        Pin::new(&mut self.sleep).reset(at);
        (self.gate, self.is_registered) = (Gate::Closed, false);
    }

    /// Returns whether the caller is to register the source. It is asked once each time that the gate was closed.
    pub(super) fn needs_registration(&mut self) -> bool {
        !std::mem::replace(&mut self.is_registered, true)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.gate == Gate::Closed
    }

    /// Ready if the source may be polled, which the caller does. The task is woken when it may be.
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_closed() {
            ready!(Pin::new(&mut self.sleep).poll(cx));
            self.gate = Gate::Open;
        }
        if self.gate == Gate::Open {
            self.end = self.head.as_ref().map(|head| head.cursor());
        }
        Poll::Ready(())
    }

    /// Ends the time before it is over.
    pub(super) fn open(&mut self) {
        self.gate = Gate::Open;
    }

    /// Notes that the source yielded a part, after which the client is at `cursor`. Returns whether it was the last
    /// one.
    pub(super) fn note_part(&mut self, cursor: Option<Cursor>) -> bool {
        self.gate = Gate::Reading;
        match (self.end, cursor) {
            (Some(end), Some(cursor)) => cursor.reaches(end),
            (None, _) => true,
            (Some(_), None) => false,
        }
    }

    /// Returns whether a delivery has begun and may have further parts.
    pub(super) fn is_reading(&self) -> bool {
        self.gate == Gate::Reading
    }

    /// Begins the time to the next delivery. `is_registered`: the source has the waker of the session's task.
    pub(super) fn close(&mut self, is_registered: bool, wheel: &Wheel) {
        self.closed_at = wheel.now();
        self.close_until(wheel.after(self.interval));
        self.is_registered = is_registered;
    }

    /// Applies the throttle to another source, with this interval if there is one. The interval began with the last
    /// delivery of the source before.
    pub(super) fn follow(&mut self, head: Option<Arc<dyn Head>>, interval: Option<Duration>, wheel: &Wheel) {
        self.head = head;
        self.interval = interval.unwrap_or(self.interval);
        if self.is_closed() {
            let passed = wheel.now().saturating_duration_since(self.closed_at);
            self.close_until(wheel.after(self.interval.saturating_sub(passed)));
        }
    }
}
