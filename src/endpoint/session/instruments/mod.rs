//! Instruments of sessions: one span for each under the feature `tracing`, metrics under the feature `metrics`.
//!
//! Without these features the types are empty and the functions do nothing. A session begins in `begin_instruments` and ends
//! in `end_instruments`; both run under no lock, because the subscriber and the recorder are the application's code.

mod arrival;
mod meter;
mod meters;
mod span;

pub(crate) use arrival::Arrival;
pub(super) use meter::{Countdown, SessionMeter};
pub(crate) use meters::SessionMeters;
pub(super) use span::SessionSpan;
