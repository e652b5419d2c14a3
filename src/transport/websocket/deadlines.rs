use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::WebSocketConfig;
use crate::model::Cursor;
use crate::time::{Sleep, Timer};
use crate::transport::limit::{FRAME, REPEATED_END};

/// Maximum number of bytes written before a ping that extend its deadline. The send buffer of a socket grows to this size by
/// default on Linux.
const MAX_AHEAD: u32 = 4 << 20;

/// Maximum extension of a ping's deadline. It limits the deadline if the write timeout is very long.
const LONGEST_WAIT: Duration = Duration::from_secs(640);

/// Deadlines of a connection, with one sleep for all.
///
/// The sleep is reset only when it is over or when a deadline precedes it. A write, which moves a deadline away, does not
/// reset it.
pub(super) struct Deadlines {
    timer: Arc<dyn Timer>,
    sleep: Pin<Box<dyn Sleep>>,
    /// End of the sleep. `None` if it is over or if its instant is of no use.
    armed: Option<Instant>,
    /// Whether a deadline may precede the end of the sleep.
    moved: bool,
    /// Next step of the liveness check: [`Due::Ping`] or [`Due::Pong`]. At the end [`Due::Pause`] or [`Due::Close`].
    awaited: Due,
    /// [`HEARD`] and [`EXTENDS`], in one byte because each idle connection holds it.
    flags: u8,
    /// Number of bytes that were written before the oldest unanswered ping, and that no pong has acknowledged.
    ahead: u32,
    /// First byte of the payload of the unanswered pings. It changes with each answer.
    round: u8,
    /// Rest of the payload of the unanswered pings. Boxed, because most of the time there is none.
    pinged: Option<Box<Cursor>>,
    /// Begin of the current step of the liveness check.
    since: Instant,
    /// Deadline of the incomplete message.
    message: Option<Instant>,
    /// Deadline of the pending write.
    stall: Option<Instant>,
}

/// The client sent something since the ping.
const HEARD: u8 = 1;
/// `ahead` extends the deadline. It does not after the client was heard from, since it had the time to read these bytes
/// at the minimum rate.
const EXTENDS: u8 = 2;

/// Pong that answers the unanswered pings.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answered {
    /// Number of bytes that it acknowledges.
    pub(super) bytes: u32,
    /// Cursor in the payload.
    pub(super) cursor: Option<Cursor>,
}

/// Deadline that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// A ping is to be sent.
    Ping,
    /// A ping was not answered.
    Pong,
    /// The Close frame of the end is to be sent.
    Pause,
    /// The client did not answer the Close frame.
    Close,
    /// A message is incomplete.
    Message,
    /// A write was not accepted.
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
            flags: EXTENDS,
            ahead: 0,
            round: 0,
            pinged: None,
            since,
            message: None,
            stall: None,
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.timer.now()
    }

    /// Skips a ping. The next one is due a whole interval later.
    pub(super) fn put_off(&mut self) {
        (self.since, self.moved) = (self.now(), true);
    }

    /// Records a sent ping. `ahead` is the number of bytes written before it that no pong has acknowledged, and
    /// `cursor` is to be in the payload. Returns the payload, which is that of the oldest ping as long as none is
    /// answered.
    pub(super) fn pinged(&mut self, ahead: u32, cursor: Option<Cursor>) -> BytesMut {
        // The next pong may answer an earlier ping, which acknowledges only the bytes before that ping.
        if self.awaited != Due::Pong {
            (self.ahead, self.flags) = (ahead, EXTENDS);
            self.pinged = cursor.map(|cursor| Box::new(Cursor::new(cursor.epoch(), cursor.sequence())));
        }
        (self.awaited, self.flags) = (Due::Pong, self.flags & !HEARD);
        (self.since, self.moved) = (self.now(), true);
        self.payload()
    }

    fn payload(&self) -> BytesMut {
        let mut payload = BytesMut::from(&[self.round][..]);
        self.pinged.iter().for_each(|cursor| cursor.encode(&mut payload));
        payload
    }

    /// Records a pong. `None` if it answers no ping of the current round: RFC 6455 §5.5.3 allows unsolicited pongs, and
    /// a client may send any payload.
    pub(super) fn ponged(&mut self, payload: &[u8]) -> Option<Answered> {
        if self.awaited != Due::Pong || payload != self.payload() {
            return None;
        }
        self.round = self.round.wrapping_add(1);
        // Resetting the sleep costs less than an early wake of the task.
        (self.awaited, self.armed, self.moved) = (Due::Ping, None, true);
        let cursor = self.pinged.take().map(|cursor| *cursor);
        Some(Answered { bytes: std::mem::take(&mut self.ahead), cursor })
    }

    /// Records that the client sent bytes.
    #[inline]
    pub(super) fn heard(&mut self) {
        self.flags |= HEARD;
    }

    /// Returns whether the client sent bytes since the ping, so that the wait for the pong is repeated.
    pub(super) fn take_heard(&mut self) -> bool {
        let heard = self.flags & HEARD != 0;
        if heard {
            self.flags = 0;
        }
        heard
    }

    /// Starts the pause before the Close frame of the end, and drops all other deadlines.
    #[cold]
    pub(super) fn pausing(&mut self) {
        (self.awaited, self.since, self.moved) = (Due::Pause, self.now(), true);
        (self.message, self.stall) = (None, None);
    }

    /// Starts the close timeout and drops all other deadlines.
    pub(super) fn closing(&mut self) {
        if self.awaited != Due::Close {
            (self.awaited, self.since, self.moved) = (Due::Close, self.now(), true);
            (self.message, self.stall) = (None, None);
        }
    }

    /// Starts the deadline of an incomplete message, if it has none.
    pub(super) fn inside_message(&mut self, limit: Duration) {
        if self.message.is_none() {
            (self.message, self.moved) = (Some(after(self.now(), limit)), true);
        }
    }

    /// Drops the deadline of the message.
    #[inline]
    pub(super) fn message_done(&mut self) {
        self.message = None;
    }

    /// Starts the deadline of a write that was not accepted, if it has none.
    pub(super) fn stalled(&mut self, limit: Duration) {
        if self.stall.is_none() {
            (self.stall, self.moved) = (Some(after(self.now(), limit)), true);
        }
    }

    /// Drops the deadline of the write.
    #[inline]
    pub(super) fn written(&mut self) {
        self.stall = None;
    }

    /// Polls the deadlines. Ready with one that has passed, which the caller must move before it polls again.
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
            // A sleep that is ready slightly early counts as over, so that it is not polled in a loop.
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
            Due::Pong => config.pong_timeout.saturating_add(self.read_time(config)),
            Due::Close => config.close_timeout,
            Due::Pause => REPEATED_END,
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

    /// Returns the time in which a client at the minimum rate reads the bytes before the ping.
    fn read_time(&self, config: &WebSocketConfig) -> Duration {
        let ahead = if self.flags & EXTENDS != 0 { self.ahead.min(MAX_AHEAD) } else { 0 };
        (config.write_timeout.saturating_mul(ahead) / FRAME as u32).min(LONGEST_WAIT)
    }
}

impl fmt::Debug for Deadlines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadlines").field("awaited", &self.awaited).field("since", &self.since).finish_non_exhaustive()
    }
}

/// Returns `at + duration`, or 30 years after `at` if that overflows.
fn after(at: Instant, duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    at.checked_add(duration).unwrap_or_else(|| at + FAR)
}
