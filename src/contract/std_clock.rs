use std::time::Instant;

use crate::contract::Clock;

/// The operating system's monotonic clock.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct StdClock;

impl Clock for StdClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}
