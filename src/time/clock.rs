use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

/// Monotonic clock.
///
/// The [module page](crate::time) has an implementation for a test.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current instant, which is never before an instant that was returned earlier.
    fn now(&self) -> Instant;
}

/// Clock that can wake a task.
///
/// ```
/// use std::pin::Pin;
/// use std::time::{Duration, Instant};
/// use tidings::time::{Clock, Sleep, Timer, TokioTimer};
///
/// /// Timer of a test whose time passes a thousand times as fast.
/// struct FastTimer(Instant);
///
/// impl Clock for FastTimer {
///     fn now(&self) -> Instant {
///         self.0 + self.0.elapsed() * 1_000
///     }
/// }
///
/// impl Timer for FastTimer {
///     fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Sleep>> {
///         TokioTimer::default().sleep_until(self.0 + at.duration_since(self.0) / 1_000)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let timer = FastTimer(Instant::now());
/// let at = timer.now() + Duration::from_secs(1);
/// timer.sleep_until(at).await; // 1 ms
/// assert!(timer.now() >= at);
/// # }
/// ```
pub trait Timer: Clock {
    /// Returns a future that is ready at `at` or soon after. It is not ready before `at`.
    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Sleep>>;
}

/// Sleep of a [`Timer`]. It can be reset without an allocation, also after it was ready.
///
/// A sleep is `Sync`, as those of tokio and hyper are. Adapters can therefore be bodies in frameworks that require a `Sync`
/// body, such as warp.
///
/// ```
/// use std::time::Duration;
/// use tidings::time::{Clock, Timer};
///
/// async fn twice(timer: &dyn Timer, interval: Duration) {
///     let begin = timer.now();
///     let mut sleep = timer.sleep_until(begin + interval);
///     sleep.as_mut().await;
///     sleep.as_mut().reset(begin + 2 * interval);
///     sleep.await;
/// }
/// ```
pub trait Sleep: Future<Output = ()> + Send + Sync {
    /// Sets the instant at which the sleep is ready. The caller polls the sleep after that: an implementation may, but need
    /// not, wake the task of an earlier poll.
    fn reset(self: Pin<&mut Self>, at: Instant);
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Instant {
        (**self).now()
    }
}

impl<T: Timer + ?Sized> Timer for std::sync::Arc<T> {
    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Sleep>> {
        (**self).sleep_until(at)
    }
}

impl Sleep for Pin<Box<dyn Sleep>> {
    fn reset(self: Pin<&mut Self>, at: Instant) {
        self.get_mut().as_mut().reset(at);
    }
}
