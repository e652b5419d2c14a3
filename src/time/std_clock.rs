use std::time::{Instant, SystemTime};

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

/// Returns the milliseconds since 1970 by the operating system's wall clock, or 0 if it is before 1970.
pub(crate) fn milliseconds_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
