//! A session of the endpoint: one member of the registry's roll.
//!
//! Its task holds a `Visit`, which ends it; everybody else has the `Member`, by which it is ended from outside. What
//! both must agree on is in the member's `Cell`, under a lock that no foreign code runs under.

pub(crate) mod admit;
mod cell;
mod handle;
pub(crate) mod idle;
mod info;
mod member;
pub(crate) mod member_table;
pub(crate) mod mend;
mod orders;
pub(crate) mod registry;
pub(crate) mod roll;
mod standing;
mod term;
mod track;
mod tracked;
mod turns;
mod unread;
mod visit;
mod watch;

pub(crate) use cell::Stage;
pub(crate) use handle::Label;
pub use handle::{Session, SessionEnd, SessionId};
pub use info::{SessionInfo, SessionState};
pub(crate) use member::{Member, drop_isolated};
pub(crate) use tracked::Tracked;
pub(crate) use turns::NoTurn;
pub(crate) use visit::{Order, Visit};
