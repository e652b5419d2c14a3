//! Clocks and timers for hubs, adapters and endpoints.
//!
//! - A hub reads a [`Clock`] for the age of its events and their time to live. Default: [`StdClock`], the operating system's
//!   monotonic clock.
//! - An adapter or an endpoint that waits takes a [`Timer`], a clock that can wake a task. `TokioTimer` (feature `tokio`) is
//!   the default of an endpoint. Under `tokio::time::pause` its time is virtual.
//!
//! No other code of the crate reads the time, so a test can replace it. One value is of the wall clock: the time in the
//! [epoch](crate::LocalHubBuilder::build) of a hub.
//!
//! # Example
//!
//! A clock that a test advances by hand. The hub drops the event when its time to live has passed.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use std::task::{Context, Waker};
//! use std::time::{Duration, Instant};
//! use tidings::time::Clock;
//! use tidings::{Event, LocalHub, Start, Subscribe, Subscriber};
//!
//! struct ManualClock(Mutex<Instant>);
//!
//! impl ManualClock {
//!     fn advance(&self, duration: Duration) {
//!         *self.0.lock().unwrap() += duration;
//!     }
//! }
//!
//! impl Clock for ManualClock {
//!     fn now(&self) -> Instant {
//!         *self.0.lock().unwrap()
//!     }
//! }
//!
//! let clock = Arc::new(ManualClock(Mutex::new(Instant::now())));
//! let hub = LocalHub::builder().clock(clock.clone()).build();
//! hub.publish_now("news", Event::text("first").with_ttl(Duration::from_secs(5)))?;
//!
//! let cx = &mut Context::from_waker(Waker::noop());
//! let oldest = || hub.subscribe(Subscribe::topics(["news"]).start(Start::Oldest));
//! assert!(oldest()?.poll_next(cx).is_ready());
//! clock.advance(Duration::from_secs(5));
//! assert!(oldest()?.poll_next(cx).is_pending());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod clock;
#[cfg(any(feature = "http", feature = "websocket"))]
mod rate;
mod std_clock;
#[cfg(feature = "tokio")]
mod tokio_timer;

pub use clock::{Clock, Sleep, Timer};
#[cfg(any(feature = "http", feature = "websocket"))]
pub(crate) use rate::Rate;
pub use std_clock::StdClock;
pub(crate) use std_clock::milliseconds_since_1970;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use tokio_timer::TokioTimer;
