//! Sessions of an endpoint.
//!
//! The task of a session holds a `SessionGuard`, which ends the session when it is dropped. The driver and the application
//! reach the session by its `SessionEntry`. Both give inputs to the session's `Lifecycle`, a state machine under the
//! entry's lock, and perform the actions that it returns. No code of the application runs under that lock.

mod body_hold;
mod change;
mod entry;
pub(crate) mod event_stream;
mod guard;
mod handle;
pub(crate) mod idle_poll_sessions;
mod info;
mod instruments;
mod lifecycle;
mod live;
mod metered;
mod perform;
mod polls;
pub(crate) mod recovery;
mod renewal;
pub(crate) mod session_index;
pub(crate) mod session_slots;
pub(crate) mod session_table;
mod swap;
mod throttle;
mod throttled;
mod track;

#[cfg(feature = "websocket")]
pub(crate) use change::{ChangeRequest, Subscribing};
pub(crate) use entry::{SessionEntry, drop_catching};
pub(crate) use guard::{Order, SessionGuard};
pub(crate) use handle::Label;
pub use handle::{Session, SessionEnd, SessionId};
pub use info::{SessionInfo, SessionState};
pub(crate) use instruments::{Arrival, SessionMeters};
pub(crate) use lifecycle::{FLUSH, Input, NoEffect, Phase, Timeouts};
pub(crate) use metered::MeteredSubscriber;
