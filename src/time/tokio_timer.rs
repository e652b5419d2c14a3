use std::pin::Pin;
use std::time::Instant;

use crate::time::{Clock, Sleep, Timer};

/// Tokio's timer. Under `tokio::time::pause` its time is the paused one.
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
