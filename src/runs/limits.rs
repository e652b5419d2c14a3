use std::time::{Duration, Instant};

use super::source::SizeLimits;
use crate::model::Retention;

/// Time after which an end that the hub has refused is published again.
const RETRY: Duration = Duration::from_secs(1);

/// Limits of the runs, see [`RunsBuilder`](crate::runs::RunsBuilder).
#[derive(Debug, Clone)]
pub(crate) struct RunLimits {
    pub(crate) max_events: usize,
    pub(crate) max_bytes: usize,
    pub(crate) max_live: usize,
    pub(crate) max_ended: usize,
    pub(crate) max_ended_bytes: usize,
    pub(crate) lifetime: Duration,
    pub(crate) linger: Duration,
    pub(crate) unwatched: Option<Duration>,
    pub(crate) drain_timeout: Duration,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            max_events: 100_000,
            max_bytes: 4 << 20,
            max_live: 1_024,
            max_ended: 16_384,
            max_ended_bytes: 128 << 20,
            lifetime: Duration::from_secs(3_600),
            linger: Duration::from_secs(300),
            unwatched: None,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

impl RunLimits {
    /// Returns the retention of a run's topic: all events of any age, until the history is dropped.
    pub(crate) fn retention(&self) -> Retention {
        Retention::count(self.max_events).bytes(self.max_bytes).age(Duration::MAX)
    }

    pub(crate) fn sizes(&self) -> SizeLimits {
        SizeLimits { max_events: self.max_events, max_bytes: self.max_bytes }
    }

    /// Returns the end of the lifetime of a run. `None` if it is too far in the future to be reached.
    pub(crate) fn lifetime_end(&self, began: Instant) -> Option<Instant> {
        began.checked_add(self.lifetime)
    }

    /// Returns the instant at which the history of a run that ended at `at` is dropped.
    pub(crate) fn linger_end(&self, at: Instant) -> Option<Instant> {
        at.checked_add(self.linger)
    }

    /// Returns the instant at which an end that the hub refused at `at` is published again.
    pub(crate) fn retry(at: Instant) -> Option<Instant> {
        at.checked_add(RETRY)
    }

    /// Returns the instant at which a run without a reader since `since` is stopped.
    pub(crate) fn unwatched_end(&self, since: Instant) -> Option<Instant> {
        since.checked_add(self.unwatched?)
    }
}
