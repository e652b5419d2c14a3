use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

/// Source of the present time, the only one below the mount.
pub trait Clock: Send + Sync + 'static {
    /// The present instant. Never goes back.
    fn now(&self) -> Instant;
}

/// A clock that can wake a task.
pub trait Timer: Clock {
    /// A future that is ready at `at` or soon after.
    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Sleep>>;
}

/// A sleep that can be set again, also after it was ready, without a new allocation.
///
/// It is `Sync`, as those of tokio and hyper are, so that adapters can be bodies of frameworks that share a body, such as
/// warp.
pub trait Sleep: Future<Output = ()> + Send + Sync {
    /// Makes it ready at `at` instead. The task that polled it last is woken then without another poll, or polls it
    /// again: a caller polls after a reset.
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
