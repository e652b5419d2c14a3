use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::WebSocketConfig;
use crate::contract::{Sleep, Timer};

/// All of a connection's deadlines over one sleep.
///
/// The sleep is set again only when a deadline comes before it and when it is over: a deadline that moves away costs
/// nothing.
pub(super) struct Deadlines {
    timer: Arc<dyn Timer>,
    sleep: Pin<Box<dyn Sleep>>,
    /// When the sleep is over.
    armed: Instant,
    fired: bool,
    awaited: Due,
    since: Instant,
    message: Option<Instant>,
    stall: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Ping,
    Pong,
    Close,
    Message,
    Stall,
}

impl Deadlines {
    pub(super) fn new(timer: Arc<dyn Timer>, config: &WebSocketConfig) -> Self {
        let since = timer.now();
        let armed = after(since, config.ping);
        let sleep = timer.sleep_until(armed);
        Self { timer, sleep, armed, fired: false, awaited: Due::Ping, since, message: None, stall: None }
    }

    pub(super) fn now(&self) -> Instant {
        self.timer.now()
    }

    /// A ping was sent, or left out: the next thing is its pong, or the next ping.
    pub(super) fn pinged(&mut self, awaited: Due) {
        (self.awaited, self.since) = (awaited, self.now());
    }

    /// A pong came, asked or not.
    pub(super) fn ponged(&mut self) {
        if self.awaited == Due::Pong {
            self.awaited = Due::Ping;
        }
    }

    /// The end has begun, and nothing but its own end is awaited any more.
    pub(super) fn closing(&mut self) {
        if self.awaited != Due::Close {
            (self.awaited, self.since, self.message, self.stall) = (Due::Close, self.now(), None, None);
        }
    }

    /// A message has begun, or gone on: it has `limit` from its beginning.
    pub(super) fn inside_message(&mut self, limit: Duration) {
        if self.message.is_none() {
            self.message = Some(after(self.now(), limit));
        }
    }

    #[inline]
    pub(super) fn message_done(&mut self) {
        self.message = None;
    }

    /// A write did not go through: it has `limit` from the last that did.
    pub(super) fn stalled(&mut self, limit: Duration) {
        if self.stall.is_none() {
            self.stall = Some(after(self.now(), limit));
        }
    }

    #[inline]
    pub(super) fn written(&mut self) {
        self.stall = None;
    }

    /// What is due. The caller moves that deadline away, and polls again.
    #[inline]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, config: &WebSocketConfig) -> Poll<Due> {
        loop {
            let (at, due) = self.next(config);
            if self.fired || at < self.armed {
                self.sleep.as_mut().reset(at);
                (self.armed, self.fired) = (at, false);
            }
            ready!(self.sleep.as_mut().poll(cx));
            self.fired = true;
            // A sleep that is ready a moment early must not be polled in a loop.
            if at <= self.now().max(self.armed) {
                return Poll::Ready(due);
            }
        }
    }

    fn next(&self, config: &WebSocketConfig) -> (Instant, Due) {
        let limit = match self.awaited {
            Due::Pong => config.pong_timeout,
            Due::Close => config.close_timeout,
            _ => config.ping,
        };
        let mut next = (after(self.since, limit), self.awaited);
        for (at, due) in [(self.message, Due::Message), (self.stall, Due::Stall)] {
            if let Some(at) = at.filter(|at| *at < next.0) {
                next = (at, due);
            }
        }
        next
    }
}

impl fmt::Debug for Deadlines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadlines").field("awaited", &self.awaited).field("since", &self.since).finish_non_exhaustive()
    }
}

/// An instant that is so far away that it is never.
fn after(at: Instant, duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    at.checked_add(duration).unwrap_or_else(|| at + FAR)
}
