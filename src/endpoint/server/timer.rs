use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::endpoint::service::Endpoint;
use crate::endpoint::shared::Shared;
use crate::endpoint::time::sleep::WheelSleep;
use crate::time::{Clock, Sleep, Timer};

/// An endpoint's time, for what a server does around it: as a [`Timer`], and as hyper's for its connections.
///
/// To set, move and drop one of its sleeps takes a fraction of what a runtime's own timer asks for it. They end up to
/// 5 ms late and never early, and only while the endpoint's [driver](Endpoint::driver) runs; under the feature `tokio`
/// it is started by the first of them, inside a runtime. It keeps the endpoint alive, as a handle of it does.
#[derive(Clone)]
pub struct EndpointTimer(Arc<Shared>);

impl Endpoint {
    /// The endpoint's time: with hyper, `http1::Builder::timer(endpoint.timer())`.
    #[must_use]
    pub fn timer(&self) -> EndpointTimer {
        EndpointTimer(self.shared().clone())
    }
}

impl EndpointTimer {
    fn sleep(&self, at: Instant) -> Pin<Box<WheelSleep>> {
        // Without a driver it sleeps on; whoever asks the endpoint is told why.
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
