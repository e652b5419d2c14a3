//! Random operations on a hub with a history, against the list of all events.

mod client;
mod history;
pub(super) mod log;
mod nodes;
mod sequences;
