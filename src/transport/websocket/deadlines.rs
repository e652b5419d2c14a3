use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::WebSocketConfig;
use crate::time::{Sleep, Timer};
use crate::transport::limit::FRAME;

/// The most bytes ahead of a ping that its deadline takes account of: the send buffer of a socket grows up to as many, by
/// default on Linux.
const MAX_AHEAD: u32 = 4 << 20;

/// The longest time that is added for them. A write timeout may be endless, and a pong's deadline is not.
const LONGEST_WAIT: Duration = Duration::from_secs(640);

/// All of a connection's deadlines over one sleep.
///
/// The sleep is set again only when it is over, and when a deadline comes before it: what moves a deadline away, as
/// every write does, costs nothing.
pub(super) struct Deadlines {
    timer: Arc<dyn Timer>,
    sleep: Pin<Box<dyn Sleep>>,
    /// When the sleep is over. `None`: it is, or it is set to nothing that is awaited.
    armed: Option<Instant>,
    /// Whether something is awaited that may come before the sleep is over.
    moved: bool,
    awaited: Due,
    /// Whether the client sent anything since the ping.
    heard: bool,
    /// Number of bytes that were written before the oldest ping without an answer, and that no answer proves to be taken.
    ahead: u32,
    /// Whether the deadline takes account of them: a client that was heard from after it has read them, at the least rate.
    extends: bool,
    /// Payload of the pings without an answer. The next ones after an answer have another.
    round: u8,
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
        Self {
            timer,
            sleep,
            armed: Some(armed),
            moved: false,
            awaited: Due::Ping,
            heard: false,
            ahead: 0,
            extends: true,
            round: 0,
            since,
            message: None,
            stall: None,
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.timer.now()
    }

    /// Notes that a ping was left out: the next comes a whole interval later.
    pub(super) fn put_off(&mut self) {
        (self.since, self.moved) = (self.now(), true);
    }

    /// Records a sent ping. `ahead` is the number of bytes written before it that no pong has acknowledged. Returns its
    /// payload.
    pub(super) fn pinged(&mut self, ahead: u32) -> u8 {
        // The next pong may be that of an earlier ping, which proves no more than what was before that.
        if self.awaited != Due::Pong {
            (self.ahead, self.extends) = (ahead, true);
        }
        (self.awaited, self.heard) = (Due::Pong, false);
        (self.since, self.moved) = (self.now(), true);
        self.round
    }

    /// Records a pong. Returns the number of bytes that it proves to be taken: none, if it answers no ping of the present
    /// round (RFC 6455 §5.5.3 allows pongs that answer none).
    pub(super) fn ponged(&mut self, payload: &[u8]) -> u32 {
        if self.awaited != Due::Pong || payload != [self.round] {
            return 0;
        }
        self.round = self.round.wrapping_add(1);
        // To wake up for nothing would cost more than to set the sleep again.
        (self.awaited, self.armed, self.moved) = (Due::Ping, None, true);
        std::mem::take(&mut self.ahead)
    }

    /// Notes that the client sent something.
    #[inline]
    pub(super) fn heard(&mut self) {
        self.heard = true;
    }

    /// Waits for the pong once more if the client sent anything else meanwhile. Returns whether it did.
    pub(super) fn wait_on(&mut self) -> bool {
        let heard = std::mem::take(&mut self.heard);
        if heard {
            self.extends = false;
        }
        heard
    }

    /// The end has begun, and nothing but its own end is awaited any more.
    pub(super) fn closing(&mut self) {
        if self.awaited != Due::Close {
            (self.awaited, self.since, self.moved) = (Due::Close, self.now(), true);
            (self.message, self.stall) = (None, None);
        }
    }

    /// A message has begun, or gone on: it has `limit` from its beginning.
    pub(super) fn inside_message(&mut self, limit: Duration) {
        if self.message.is_none() {
            (self.message, self.moved) = (Some(after(self.now(), limit)), true);
        }
    }

    #[inline]
    pub(super) fn message_done(&mut self) {
        self.message = None;
    }

    /// A write did not go through: it has `limit` from the last that did.
    pub(super) fn stalled(&mut self, limit: Duration) {
        if self.stall.is_none() {
            (self.stall, self.moved) = (Some(after(self.now(), limit)), true);
        }
    }

    #[inline]
    pub(super) fn written(&mut self) {
        self.stall = None;
    }

    /// Ready with the deadline that has passed. The caller moves that deadline, and polls again.
    #[inline]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, config: &WebSocketConfig) -> Poll<Due> {
        loop {
            if self.moved {
                let (at, _) = self.next(config);
                if self.armed.is_none_or(|armed| at < armed) {
                    self.sleep.as_mut().reset(at);
                    self.armed = Some(at);
                }
                self.moved = false;
            }
            ready!(self.sleep.as_mut().poll(cx));
            // A sleep that is ready a moment early must not be polled in a loop.
            let now = self.armed.take().into_iter().fold(self.now(), Instant::max);
            self.moved = true;
            let (at, due) = self.next(config);
            if at <= now {
                return Poll::Ready(due);
            }
        }
    }

    fn next(&self, config: &WebSocketConfig) -> (Instant, Due) {
        let limit = match self.awaited {
            Due::Pong => config.pong_timeout.saturating_add(self.getting_through(config)),
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

    /// Returns how long a client at the least rate takes for what is ahead of the ping.
    fn getting_through(&self, config: &WebSocketConfig) -> Duration {
        let ahead = if self.extends { self.ahead.min(MAX_AHEAD) } else { 0 };
        (config.write_timeout.saturating_mul(ahead) / FRAME as u32).min(LONGEST_WAIT)
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
