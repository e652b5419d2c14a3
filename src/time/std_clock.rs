use std::time::Instant;

use crate::time::Clock;

/// The operating system's monotonic clock.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct StdClock;

impl Clock for StdClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}
