//! A session of the mount: one member of the registry's roll.
//!
//! Its task holds a `Visit`, which ends it; everybody else has the `Member`, by which it is ended from outside. What
//! both must agree on is in the member's `Cell`, under a lock that no foreign code runs under.

mod cell;
mod info;
mod member;
mod orders;
mod standing;
mod term;
mod track;
mod tracked;
mod turns;
mod unread;
mod visit;
mod watch;

pub(super) use cell::Stage;
pub use info::{SessionInfo, SessionState};
pub(super) use member::{Member, drop_isolated};
pub(super) use tracked::Tracked;
pub(super) use turns::NoTurn;
pub(super) use visit::{Order, Visit};
