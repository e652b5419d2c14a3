use std::time::Instant;

use crate::time::Clock;

/// Monotonic clock of the operating system, see [`Instant::now`].
///
/// ```
/// use tidings::time::{Clock, StdClock};
///
/// let clock = StdClock::default();
/// assert!(clock.now() <= clock.now());
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct StdClock;

impl Clock for StdClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
}
