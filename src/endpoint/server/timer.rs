use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::endpoint::service::Endpoint;
use crate::endpoint::shared::Shared;
use crate::endpoint::time::sleep::WheelSleep;
use crate::time::{Clock, Sleep, Timer};

/// Timer of an endpoint, see [`Endpoint::timer`].
#[derive(Clone)]
struct EndpointTimer(Arc<Shared>);

impl Endpoint {
    /// Returns the endpoint's timer, for the server around it: as a [`Timer`], and as a timer of hyper's builders,
    /// `http1::Builder::timer(endpoint.timer())`.
    ///
    /// Setting, resetting and dropping one of its sleeps costs a fraction of a sleep of the runtime. A sleep ends up to
    /// 5 ms late and never early, and only while the endpoint's [driver](Self::driver) runs. With the feature `tokio`
    /// the first sleep starts the driver, inside a runtime. The timer keeps the endpoint alive, as a clone of the
    /// endpoint does.
    ///
    /// ```
    /// # fn builder(events: &tidings::Endpoint) -> hyper::server::conn::http1::Builder {
    /// let mut http1 = hyper::server::conn::http1::Builder::new();
    /// http1.timer(events.timer());
    /// # http1
    /// # }
    /// ```
    #[must_use]
    pub fn timer(&self) -> impl Timer + hyper::rt::Timer + Clone + Unpin + fmt::Debug + use<> {
        EndpointTimer(self.shared().clone())
    }
}

impl EndpointTimer {
    fn sleep(&self, at: Instant) -> Pin<Box<WheelSleep>> {
        // Without a driver the sleep does not end. The endpoint's answers say that the driver is missing.
        let _ = self.0.runtime.ready();
        Box::pin(self.0.runtime.wheel.sleep(at))
    }
}

impl Clock for EndpointTimer {
    fn now(&self) -> Instant {
        self.0.runtime.wheel.now()
    }
}

impl Timer for EndpointTimer {
    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(at)
    }
}

impl hyper::rt::Timer for EndpointTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep(self.0.runtime.wheel.after(duration))
    }

    fn sleep_until(&self, at: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep(at)
    }

    fn now(&self) -> Instant {
        Clock::now(self)
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn hyper::rt::Sleep>>, at: Instant) {
        match sleep.as_mut().downcast_mut_pin::<WheelSleep>() {
            Some(sleep) => sleep.reset(at),
            None => *sleep = self.sleep(at),
        }
    }
}

impl hyper::rt::Sleep for WheelSleep {}

impl fmt::Debug for EndpointTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointTimer").finish_non_exhaustive()
    }
}
