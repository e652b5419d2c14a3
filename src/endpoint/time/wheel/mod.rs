//! The time of one endpoint: every deadline in one wheel, behind one timer of the runtime.
//!
//! An `Alarm` is an entry that its owner sets and cancels. The `Wheel` is what they share, and what the driver turns. The
//! `Dial` tells what is due when, and the `Entries` are the memory that it stands in.

mod alarm;
mod dial;
mod driver_slot;
mod entries;
#[cfg(test)]
mod tests;
mod turn;

pub(crate) use alarm::Alarm;
pub(crate) use turn::{Turn, Wheel};
