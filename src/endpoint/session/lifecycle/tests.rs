//! The transitions as written tables, over every input and every state, and a random program that checks the invariants.

mod program;
mod renewal;
mod table;
mod timing;

use std::time::{Duration, Instant};

use super::*;

const TIMEOUTS: Timeouts = Timeouts { write: Duration::from_secs(8), poll_session: Duration::from_secs(50) };

/// Returns a session that enters the table.
fn entering(kind: SessionKind, begin: Instant, expires: Option<Instant>) -> Lifecycle {
    Lifecycle::new(kind, begin, expires, Registration::Joining)
}

/// Returns a session that is in the table.
fn joined(kind: SessionKind, begin: Instant) -> Lifecycle {
    let mut session = entering(kind, begin, None);
    let _ = session.handle(Input::Joined { max_age: None, renew_before: Duration::ZERO }, begin, &TIMEOUTS);
    session
}
