//! Clocks and timers that a hub, an adapter and an endpoint are given.
//!
//! A hub reads a [`Clock`] for the age of its events, [`StdClock`] by default. An adapter that must wake its task is given
//! a [`Timer`]. Under the feature `tokio`, `TokioTimer` is one, and an endpoint uses it by default. Tests can give their own:
//! no other code of the crate reads the time.

mod clock;
mod std_clock;
#[cfg(feature = "tokio")]
mod tokio_timer;

pub use clock::{Clock, Sleep, Timer};
pub use std_clock::StdClock;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub use tokio_timer::TokioTimer;
