use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::endpoint::service::Endpoint;
use crate::endpoint::shared::Shared;
use crate::endpoint::time::sleep::WheelSleep;
use crate::time::{Clock, Sleep, Timer};

/// The timer of an endpoint, see [`Endpoint::timer`].
#[derive(Clone)]
struct EndpointTimer(Arc<Shared>);

impl Endpoint {
    /// Returns the endpoint's timer, for the server around it: as a [`Timer`], and as a timer of hyper's builders,
    /// `http1::Builder::timer(endpoint.timer())`.
    ///
    /// A sleep of it is set, moved and dropped at a fraction of the cost of a runtime's own. It ends up to 5 ms late and never
    /// early, and only while the endpoint's [driver](Self::driver) runs. Under the feature `tokio` the first sleep starts the
    /// driver, inside a runtime. The timer keeps the endpoint alive, as a clone of the endpoint does.
    #[must_use]
    pub fn timer(&self) -> impl Timer + hyper::rt::Timer + Clone + Unpin + fmt::Debug + use<> {
        EndpointTimer(self.shared().clone())
    }
}

impl EndpointTimer {
    fn sleep(&self, at: Instant) -> Pin<Box<WheelSleep>> {
        // Without a driver it does not end; the answers of the endpoint say why.
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
