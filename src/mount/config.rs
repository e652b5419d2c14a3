use std::ops::RangeInclusive;
use std::time::Duration;

use super::origin::OriginRule;
use super::transports::Transports;

/// A quarter of the 60 s after which nginx and load balancers take a silent connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Under half of 60 s, so that one lost ping costs no connection; what browsers' libraries expect.
const PING: Duration = Duration::from_secs(25);
/// A peer that is there answers at once; ten seconds are a phone's way through a tunnel.
const PONG: Duration = Duration::from_secs(10);
/// The longest poll that every proxy's default lets live, and few enough requests from a quiet client.
const HOLD: Duration = Duration::from_secs(25);
/// What a client may ask for: below the 60 s of proxies, and Heroku's 55 s.
const MAX_HOLD: Duration = Duration::from_secs(55);
/// None: an event goes out at once, and how long to gather a busy topic's is the application's to say.
const MIN_INTERVAL: Duration = Duration::ZERO;
/// A socket that took nothing for so long belongs to nobody, or to an attacker.
const WRITE_STALL: Duration = Duration::from_secs(10);
/// A burst in one write, and still little beside the stack's own buffers.
const BATCH: usize = 64 * 1024;
/// Spread over four seconds, a thousand clients of a restarted server are 250 a second.
const RETRY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(5);
/// Between "at once" of a person's eye and a request that costs more than it mostly brings.
const POLL_HINT: RangeInclusive<Duration> = RETRY;
/// At the 20 KiB or so that the stack takes per connection: 2 GiB.
const MAX_SESSIONS: usize = 100_000;
/// More is a pattern's work; and a request's line has an end.
pub(super) const MAX_TOPICS: usize = 64;
/// What a client says is short; uploads have other ways.
const MAX_MESSAGE: usize = 64 * 1024;
/// 64 KiB in ten seconds is a slow modem's speed.
const RECEIVE_DEADLINE: Duration = Duration::from_secs(10);
/// Below the 30 s after which orchestrators kill, with room for whatever else must end.
const DRAIN_WINDOW: Duration = Duration::from_secs(10);
/// How many authorisations may run at once: a herd waits at its clients rather than at the database.
const MAX_ATTACHES: usize = 1024;

/// The longest time that is jittered: a day, since a duration's product may be none.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What an endpoint was told, or its defaults.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) transports: Transports,
    pub(super) origins: OriginRule,
    pub(super) keep_alive: Duration,
    pub(super) ping: Duration,
    pub(super) pong: Duration,
    pub(super) hold: Duration,
    pub(super) max_hold: Duration,
    pub(super) min_interval: Duration,
    pub(super) write_stall: Duration,
    pub(super) batch: usize,
    pub(super) retry: RangeInclusive<Duration>,
    pub(super) poll_hint: RangeInclusive<Duration>,
    pub(super) max_sessions: usize,
    pub(super) max_attaches: usize,
    pub(super) max_topics: usize,
    pub(super) max_message: usize,
    pub(super) receive_deadline: Duration,
    pub(super) drain_window: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            transports: Transports::BUILT,
            origins: OriginRule::default(),
            keep_alive: KEEP_ALIVE,
            ping: PING,
            pong: PONG,
            hold: HOLD,
            max_hold: MAX_HOLD,
            min_interval: MIN_INTERVAL,
            write_stall: WRITE_STALL,
            batch: BATCH,
            retry: RETRY,
            poll_hint: POLL_HINT,
            max_sessions: MAX_SESSIONS,
            max_attaches: MAX_ATTACHES,
            max_topics: MAX_TOPICS,
            max_message: MAX_MESSAGE,
            receive_deadline: RECEIVE_DEADLINE,
            drain_window: DRAIN_WINDOW,
        }
    }
}

impl Config {
    /// What of this is a WebSocket's.
    #[cfg(feature = "websocket")]
    pub(super) fn websocket(&self) -> std::sync::Arc<crate::adapters::WebSocketConfig> {
        let config = crate::adapters::WebSocketConfig::default()
            .ping(self.ping)
            .pong_timeout(self.pong)
            .write_stall(self.write_stall)
            .max_message(self.max_message)
            .message_timeout(self.receive_deadline)
            .batch(self.batch);
        config.into()
    }

    /// When one client is to come back, in whole milliseconds: another time for each, so that they don't come together.
    pub(super) fn jittered_retry(&self) -> Duration {
        let (from, to) = millis(&self.retry);
        Duration::from_millis(fastrand::u64(from..=to))
    }

    /// When the client of a short poll is to come again: when the next event is likely or up to a quarter later, another
    /// time for each, within the range. Where that is not known, at any time of the range.
    pub(super) fn jittered_hint(&self, next_in: Option<Duration>) -> Duration {
        let (from, to) = millis(&self.poll_hint);
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

    /// How long to hold a poll. A wish is an upper bound, and so is the limit; our own default is a middle.
    pub(super) fn jittered_hold(&self, wish: Option<Duration>) -> Duration {
        match wish {
            Some(wish) => wish.min(self.max_hold).min(LONGEST).mul_f64(0.9 + 0.1 * fastrand::f64()),
            None => self.hold.min(LONGEST).mul_f64(0.9 + 0.2 * fastrand::f64()),
        }
    }

    /// How long to keep a long poll's events back, if at all: never shorter than was set, and another time for each,
    /// for those that one event woke would else come and go together for ever.
    pub(super) fn jittered_interval(&self) -> Option<Duration> {
        let interval = self.min_interval.min(LONGEST);
        (!interval.is_zero()).then(|| interval.mul_f64(1.0 + 0.1 * fastrand::f64()))
    }
}

/// A range in whole milliseconds. One that is empty is its beginning.
fn millis(range: &RangeInclusive<Duration>) -> (u64, u64) {
    let millis = |duration: &Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (from, to) = (millis(range.start()), millis(range.end()));
    (from, to.max(from))
}
