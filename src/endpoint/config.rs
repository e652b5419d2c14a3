use std::ops::RangeInclusive;
use std::time::Duration;

use super::reject::challenge::Challenge;
use super::request::negotiate::QueryLimits;
use super::request::origin::OriginRule;
use super::request::transports::Transports;
use super::session::Timeouts;
use super::session::session_table::Limits;

// The table of `EndpointBuilder` has the reason of each.

const KEEP_ALIVE: Duration = Duration::from_secs(15);
const PING: Duration = Duration::from_secs(25);
const PONG: Duration = Duration::from_secs(10);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
const LONG_POLL_TIMEOUT: Duration = Duration::from_secs(25);
const MAX_LONG_POLL_TIMEOUT: Duration = Duration::from_secs(55);
const MAX_MESSAGE_RATE: u32 = 100;
const LONG_POLL_MIN_WAIT: Duration = Duration::ZERO;
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_BATCH_BYTES: usize = 64 * 1024;
const RETRY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(5);
const SHORT_POLL_INTERVAL: RangeInclusive<Duration> = RETRY;
const MAX_SESSIONS: usize = 100_000;
const MAX_IDLE_POLL_SESSIONS: usize = 10_000;
const MAX_CONCURRENT_CALLS: usize = 1_024;
const MAX_SOFT_REJECTS: usize = 1_024;
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_REQUEST_HEAD: usize = 16 * 1024;
/// Limits of a query.
pub(crate) const QUERY_LIMITS: QueryLimits = QueryLimits { max_topics_per_request: 64, max_last: 1_000 };
const MAX_MESSAGE: usize = 64 * 1024;
const MAX_FRAGMENTS: u32 = 65_536;
const CONTROL_RATE: u32 = 10;
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);
const DRAIN_DELAY: Duration = Duration::ZERO;
const RECONNECT_GRACE: Duration = Duration::from_secs(5);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait of a long poll. A day, because the product of a longer one might overflow.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest age of a session: a year.
const MAX_AGE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Longest time before the end of an authorization at which the publisher is asked to renew it, without the jitter.
const MAX_RENEW_BEFORE: Duration = Duration::from_secs(30);

/// Settings of an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) transports: Transports,
    pub(crate) origins: OriginRule,
    pub(crate) challenge: Challenge,
    pub(crate) keep_alive: Duration,
    pub(crate) sse_hello: bool,
    pub(crate) sse_controls: bool,
    pub(crate) ping: Duration,
    pub(crate) pong: Duration,
    pub(crate) raw_websocket_acknowledgements: bool,
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
    pub(crate) query_limits: QueryLimits,
    pub(crate) max_event: usize,
    pub(crate) max_message: usize,
    pub(crate) max_fragments: u32,
    pub(crate) control_rate: u32,
    pub(crate) message_timeout: Duration,
    pub(crate) drain_delay: Duration,
    pub(crate) reconnect_grace: Duration,
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
            sse_controls: true,
            ping: PING,
            pong: PONG,
            raw_websocket_acknowledgements: false,
            close_timeout: CLOSE_TIMEOUT,
            long_poll_timeout: LONG_POLL_TIMEOUT,
            max_long_poll_timeout: MAX_LONG_POLL_TIMEOUT,
            long_poll_min_wait: LONG_POLL_MIN_WAIT,
            write_timeout: WRITE_TIMEOUT,
            max_batch_bytes: MAX_BATCH_BYTES,
            retry: RETRY,
            short_poll_interval: SHORT_POLL_INTERVAL,
            max_sessions: MAX_SESSIONS,
            max_sessions_per_key: usize::MAX,
            max_idle_poll_sessions: MAX_IDLE_POLL_SESSIONS,
            poll_session_timeout: None,
            max_session_age: None,
            max_message_rate: MAX_MESSAGE_RATE,
            max_concurrent_calls: MAX_CONCURRENT_CALLS,
            max_concurrent_calls_per_key: None,
            max_soft_rejects: MAX_SOFT_REJECTS,
            subscribe_timeout: SUBSCRIBE_TIMEOUT,
            max_request_head: MAX_REQUEST_HEAD,
            query_limits: QUERY_LIMITS,
            max_event: usize::MAX,
            max_message: MAX_MESSAGE,
            max_fragments: MAX_FRAGMENTS,
            control_rate: CONTROL_RATE,
            message_timeout: MESSAGE_TIMEOUT,
            drain_delay: DRAIN_DELAY,
            reconnect_grace: RECONNECT_GRACE,
            drain_timeout: DRAIN_TIMEOUT,
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
            .raw_acknowledgements(self.raw_websocket_acknowledgements)
            .max_batch_bytes(self.max_batch_bytes);
        config.into()
    }

    /// Returns a random time within the configured range after which one client is to reconnect, in whole milliseconds.
    pub(crate) fn jittered_retry(&self) -> Duration {
        self.jittered_retry_over(Duration::ZERO)
    }

    /// Returns a random retry time within the configured range. The range is extended to be at least `spread` long.
    pub(crate) fn jittered_retry_over(&self, spread: Duration) -> Duration {
        let (from, to) = millis(&self.retry);
        let spread = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(fastrand::u64(from..=to.max(from.saturating_add(spread))))
    }

    /// Returns a random time after which the client of a short poll is to poll again: within the configured range, from
    /// the time at which the next event is likely to a quarter later. If that time is unknown, any time of the range.
    pub(crate) fn jittered_poll_interval(&self, next_event_in: Option<Duration>) -> Duration {
        let (from, to) = millis(&self.short_poll_interval);
        let (wait, spread) = match next_event_in {
            Some(next_event_in) => {
                let wait = u64::try_from(next_event_in.as_millis()).unwrap_or(u64::MAX).clamp(from, to);
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

    /// Returns a random time to hold a poll. A wait that the client asked for is an upper bound, and so is the limit;
    /// the default is the middle of its range.
    pub(crate) fn jittered_hold(&self, wait: Option<Duration>) -> Duration {
        match wait {
            Some(wait) => wait.min(self.max_wait()).mul_f64(0.9 + 0.1 * fastrand::f64()),
            None => self.long_poll_timeout.min(LONGEST_WAIT).mul_f64(0.9 + 0.2 * fastrand::f64()),
        }
    }

    /// Returns the most concurrent calls of the publisher for one limit key.
    pub(crate) fn calls_per_key(&self) -> usize {
        self.max_concurrent_calls_per_key.unwrap_or(self.max_concurrent_calls / 4).max(1)
    }

    /// Returns the limits of the session registry.
    pub(crate) fn limits(&self) -> Limits {
        Limits { sessions: self.max_sessions, per_key: self.max_sessions_per_key, idle: self.max_idle_poll_sessions }
    }

    /// Returns the times that the state machine of a session depends on.
    pub(crate) fn timeouts(&self) -> Timeouts {
        let poll_session = self.poll_session_timeout.unwrap_or(self.long_poll_timeout.saturating_mul(2));
        Timeouts { write: self.write_timeout, poll_session }
    }

    /// Returns the time for which a key without a session stays present.
    pub(crate) fn reconnect_grace(&self) -> Duration {
        self.reconnect_grace.min(MAX_AGE)
    }

    /// Returns a random age at which a session ends, up to a tenth less than the configured one. `None` if it has no
    /// limit.
    pub(crate) fn jittered_lifetime(&self) -> Option<Duration> {
        self.max_session_age.map(|max| max.min(MAX_AGE).mul_f64(0.9 + 0.1 * fastrand::f64()))
    }

    /// Returns a random time before the end of an authorization of this length: a tenth of the length or 30 s,
    /// whichever is less, and up to half as much again.
    pub(crate) fn jittered_renew_before(&self, lifetime: Duration) -> Duration {
        MAX_RENEW_BEFORE.min(lifetime / 10).mul_f64(1.0 + 0.5 * fastrand::f64())
    }

    /// Returns a random time to keep a long poll's events back, from the configured one to a tenth more. It is random
    /// because polls that one event woke would otherwise stay in step. `None` if it is 0.
    pub(crate) fn jittered_interval(&self) -> Option<Duration> {
        (!self.long_poll_min_wait.is_zero()).then(|| with_jitter(self.long_poll_min_wait))
    }
}

/// Returns a random time, from an interval between two replies of long polls to a tenth more.
pub(crate) fn with_jitter(interval: Duration) -> Duration {
    interval.min(LONGEST_WAIT).mul_f64(1.0 + 0.1 * fastrand::f64())
}

/// Returns the bounds of a range in whole milliseconds. An empty range is reduced to its start.
fn millis(range: &RangeInclusive<Duration>) -> (u64, u64) {
    let millis = |duration: &Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (from, to) = (millis(range.start()), millis(range.end()));
    (from, to.max(from))
}
