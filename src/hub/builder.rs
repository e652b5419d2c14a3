use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::contract::{Clock, StdClock};
use crate::hub::local::LocalHub;
use crate::hub::shared::Shared;
use crate::model::Retention;

/// Builds a [`LocalHub`].
#[must_use]
pub struct LocalHubBuilder {
    retention: Retention,
    max_event: usize,
    clock: Box<dyn Clock>,
}

impl Default for LocalHubBuilder {
    fn default() -> Self {
        Self { retention: Retention::default(), max_event: Self::MAX_EVENT, clock: Box::new(StdClock) }
    }
}

impl LocalHubBuilder {
    /// The default limit of one event's weight, in bytes: 1 MiB, a whole topic's default history.
    pub const MAX_EVENT: usize = 1 << 20;

    /// How much history each topic keeps. Default: 1,000 events, 1 MiB, 1 hour.
    pub fn retain(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// How much one event may weigh (payload, name and key, in bytes). Default: 1 MiB.
    pub fn max_event(self, bytes: usize) -> Self {
        Self { max_event: bytes, ..self }
    }

    /// The clock by which events age. Default: the operating system's monotonic clock.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// The hub, in an epoch of its own.
    #[must_use]
    pub fn build(self) -> LocalHub {
        LocalHub::of(Shared::new(random_epoch(), self.retention, self.max_event, self.clock))
    }
}

/// 48 random bits, and never 0: ten digits in a cursor.
fn random_epoch() -> u64 {
    // The standard library seeds a RandomState from the operating system's randomness.
    (RandomState::new().build_hasher().finish() >> 16).max(1)
}

impl fmt::Debug for LocalHubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalHubBuilder")
            .field("retention", &self.retention)
            .field("max_event", &self.max_event)
            .finish_non_exhaustive()
    }
}
