use std::ops::RangeInclusive;
use std::time::Duration;

use super::request::origin::OriginRule;
use super::request::transports::Transports;
use super::response::challenge::Challenge;
use super::session::Timeouts;
use super::session::session_table::Limits;

// Each one's reason is in the table of `EndpointBuilder`.

const KEEP_ALIVE: Duration = Duration::from_secs(15);
const PING: Duration = Duration::from_secs(25);
const PONG: Duration = Duration::from_secs(10);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
const HOLD: Duration = Duration::from_secs(25);
const MAX_HOLD: Duration = Duration::from_secs(55);
const MAX_MESSAGE_RATE: u32 = 100;
const MIN_INTERVAL: Duration = Duration::ZERO;
const WRITE_STALL: Duration = Duration::from_secs(10);
const BATCH: usize = 64 * 1024;
const RETRY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(5);
const POLL_HINT: RangeInclusive<Duration> = RETRY;
const MAX_SESSIONS: usize = 100_000;
const MAX_IDLE_POLL_SESSIONS: usize = 10_000;
const MAX_ATTACHES: usize = 1_024;
const MAX_SOFT_REJECTS: usize = 1_024;
const ATTACH_DEADLINE: Duration = Duration::from_secs(10);
const MAX_HEAD: usize = 16 * 1024;
pub(crate) const MAX_TOPICS_PER_REQUEST: usize = 64;
const MAX_MESSAGE: usize = 64 * 1024;
const MAX_FRAGMENTS: u32 = 65_536;
const CONTROL_RATE: u32 = 10;
const RECEIVE_DEADLINE: Duration = Duration::from_secs(10);
const DRAIN_WINDOW: Duration = Duration::from_secs(10);

/// The longest wait of a long poll: a day. A longer duration might overflow when it is multiplied.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest time that a session may be given: a year.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Settings of an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) transports: Transports,
    pub(crate) origins: OriginRule,
    pub(crate) challenge: Challenge,
    pub(crate) keep_alive: Duration,
    pub(crate) sse_hello: bool,
    pub(crate) ping: Duration,
    pub(crate) pong: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) long_poll_timeout: Duration,
    pub(crate) max_long_poll_timeout: Duration,
    pub(crate) long_poll_min_wait: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) max_batch_bytes: usize,
    pub(crate) retry: RangeInclusive<Duration>,
    pub(crate) short_poll_interval: RangeInclusive<Duration>,
    pub(crate) max_sessions: usize,
    pub(crate) max_sessions_per_key: usize,
    pub(crate) max_idle_poll_sessions: usize,
    pub(crate) poll_session_timeout: Option<Duration>,
    pub(crate) max_session_age: Option<Duration>,
    pub(crate) max_message_rate: u32,
    pub(crate) max_concurrent_calls: usize,
    pub(crate) max_concurrent_calls_per_key: Option<usize>,
    pub(crate) max_soft_rejects: usize,
    pub(crate) subscribe_timeout: Duration,
    pub(crate) max_request_head: usize,
    pub(crate) max_topics_per_request: usize,
    pub(crate) max_event: usize,
    pub(crate) max_message: usize,
    pub(crate) max_fragments: u32,
    pub(crate) control_rate: u32,
    pub(crate) message_timeout: Duration,
    pub(crate) drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            transports: Transports::BUILT,
            origins: OriginRule::default(),
            challenge: Challenge::default(),
            keep_alive: KEEP_ALIVE,
            sse_hello: true,
            ping: PING,
            pong: PONG,
            close_timeout: CLOSE_TIMEOUT,
            long_poll_timeout: HOLD,
            max_long_poll_timeout: MAX_HOLD,
            long_poll_min_wait: MIN_INTERVAL,
            write_timeout: WRITE_STALL,
            max_batch_bytes: BATCH,
            retry: RETRY,
            short_poll_interval: POLL_HINT,
            max_sessions: MAX_SESSIONS,
            max_sessions_per_key: usize::MAX,
            max_idle_poll_sessions: MAX_IDLE_POLL_SESSIONS,
            poll_session_timeout: None,
            max_session_age: None,
            max_message_rate: MAX_MESSAGE_RATE,
            max_concurrent_calls: MAX_ATTACHES,
            max_concurrent_calls_per_key: None,
            max_soft_rejects: MAX_SOFT_REJECTS,
            subscribe_timeout: ATTACH_DEADLINE,
            max_request_head: MAX_HEAD,
            max_topics_per_request: MAX_TOPICS_PER_REQUEST,
            max_event: usize::MAX,
            max_message: MAX_MESSAGE,
            max_fragments: MAX_FRAGMENTS,
            control_rate: CONTROL_RATE,
            message_timeout: RECEIVE_DEADLINE,
            drain_timeout: DRAIN_WINDOW,
        }
    }
}

impl Config {
    /// Returns the settings of a WebSocket.
    #[cfg(feature = "websocket")]
    pub(crate) fn websocket(&self) -> std::sync::Arc<crate::transport::websocket::WebSocketConfig> {
        let config = crate::transport::websocket::WebSocketConfig::default()
            .ping(self.ping)
            .pong_timeout(self.pong)
            .close_timeout(self.close_timeout)
            .write_timeout(self.write_timeout)
            .max_message(self.max_message)
            .max_fragments(self.max_fragments)
            .control_rate(self.control_rate)
            .message_rate(self.max_message_rate)
            .message_timeout(self.message_timeout)
            .max_batch_bytes(self.max_batch_bytes);
        config.into()
    }

    /// When one client is to come back, in whole milliseconds: another time for each, so that they don't come together.
    pub(crate) fn jittered_retry(&self) -> Duration {
        self.jittered_retry_over(Duration::ZERO)
    }

    /// Returns a retry time within the configured range, which is extended so that clients are spread over at least
    /// `spread`.
    pub(crate) fn jittered_retry_over(&self, spread: Duration) -> Duration {
        let (from, to) = millis(&self.retry);
        let spread = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(fastrand::u64(from..=to.max(from.saturating_add(spread))))
    }

    /// When the client of a short poll is to come again: when the next event is likely or up to a quarter later, another
    /// time for each, within the range. Where that is not known, at any time of the range.
    pub(crate) fn jittered_hint(&self, next_in: Option<Duration>) -> Duration {
        let (from, to) = millis(&self.short_poll_interval);
        let (wait, spread) = match next_in {
            Some(next_in) => {
                let wait = u64::try_from(next_in.as_millis()).unwrap_or(u64::MAX).clamp(from, to);
                (wait, (wait / 4).min(to - from))
            }
            None => (from, to - from),
        };
        let earliest = wait.min(to - spread);
        Duration::from_millis(fastrand::u64(earliest..=earliest + spread))
    }

    /// Returns the longest wait that a poll may ask for.
    pub(crate) fn max_wait(&self) -> Duration {
        self.max_long_poll_timeout.min(LONGEST_WAIT)
    }

    /// Returns the time for which a poll is held: at most the wait that the client asks for, or about the default.
    pub(crate) fn jittered_hold(&self, asked: Option<Duration>) -> Duration {
        match asked {
            Some(asked) => asked.min(self.max_wait()).mul_f64(0.9 + 0.1 * fastrand::f64()),
            None => self.long_poll_timeout.min(LONGEST_WAIT).mul_f64(0.9 + 0.2 * fastrand::f64()),
        }
    }

    /// Returns the share of one limit key in the publisher's calls.
    pub(crate) fn calls_per_key(&self) -> usize {
        self.max_concurrent_calls_per_key.unwrap_or(self.max_concurrent_calls / 4).max(1)
    }

    /// Returns how many sessions there may be.
    pub(crate) fn limits(&self) -> Limits {
        Limits { sessions: self.max_sessions, per_key: self.max_sessions_per_key, idle: self.max_idle_poll_sessions }
    }

    /// Returns the times that the state machine of a session depends on.
    pub(crate) fn timeouts(&self) -> Timeouts {
        let poll_session = self.poll_session_timeout.unwrap_or(self.long_poll_timeout.saturating_mul(2));
        Timeouts { write: self.write_timeout, poll_session }
    }

    /// Returns the time for which a session lasts, if it is limited: up to a tenth shorter than was set, another time for
    /// each session.
    pub(crate) fn jittered_lifetime(&self) -> Option<Duration> {
        self.max_session_age.map(|max| max.min(FAR).mul_f64(0.9 + 0.1 * fastrand::f64()))
    }

    /// Returns the time for which a long poll's events are kept back, if at all: never shorter than was set, and another
    /// time for each poll. Otherwise polls that one event answered would come back together each time.
    pub(crate) fn jittered_interval(&self) -> Option<Duration> {
        let interval = self.long_poll_min_wait.min(LONGEST_WAIT);
        (!interval.is_zero()).then(|| interval.mul_f64(1.0 + 0.1 * fastrand::f64()))
    }
}

/// A range in whole milliseconds. One that is empty is its beginning.
fn millis(range: &RangeInclusive<Duration>) -> (u64, u64) {
    let millis = |duration: &Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (from, to) = (millis(range.start()), millis(range.end()));
    (from, to.max(from))
}
