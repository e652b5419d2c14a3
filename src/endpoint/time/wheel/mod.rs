//! Timer wheel of one endpoint: all its deadlines behind one timer of the runtime.
//!
//! An `Alarm` is an entry that its owner sets and cancels. The `Wheel` is shared by all alarms, and the driver advances
//! it. The `Dial` orders the entries by time. The `Entries` are their memory.

mod alarm;
mod dial;
mod driver_slot;
mod entries;
mod shared_wheel;
#[cfg(test)]
mod tests;

pub(crate) use alarm::Alarm;
pub(crate) use shared_wheel::{Advanced, Wheel};
