//! Presence: keys of people, devices or connections that have sessions, published to topics that keep the newest event
//! of each key.
//!
//! The application's closure names the keys of a session when the session begins. A `PresentKey` counts the sessions of
//! one key and decides when a change is published. The `PresenceTable` holds all of them, and the times at which they
//! change. Both are without I/O: they take the time, and return the changes to publish. `Presence` has the table under
//! a lock and one alarm of the endpoint's wheel. It calls the closure and the hub under no lock.

mod key;
mod published;
mod settings;
mod table;

pub(crate) use published::Presence;
pub(crate) use settings::PresenceRule;
