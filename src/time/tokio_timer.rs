use std::pin::Pin;
use std::time::Instant;

use crate::time::{Clock, Sleep, Timer};

/// Timer of tokio. Under `tokio::time::pause` its time is virtual.
///
/// ```
/// use std::time::Duration;
/// use tidings::time::{Clock, Timer, TokioTimer};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let timer = TokioTimer::default();
/// let at = timer.now() + Duration::from_secs(3600);
/// timer.sleep_until(at).await; // at once, because tokio advances a paused time
/// assert!(timer.now() >= at);
/// # }
/// ```
///
/// # Panics
///
/// [`Timer::sleep_until`] panics outside a tokio runtime with time enabled, as `tokio::time::sleep_until` does.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct TokioTimer;

impl Clock for TokioTimer {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

impl Timer for TokioTimer {
    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(tokio::time::sleep_until(at.into()))
    }
}

impl Sleep for tokio::time::Sleep {
    fn reset(self: Pin<&mut Self>, at: Instant) {
        Self::reset(self, at.into());
    }
}
