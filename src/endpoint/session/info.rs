use std::time::Duration;

use super::entry::SessionEntry;
use crate::endpoint::session::Session;
use crate::model::Cursor;
use crate::time::Clock;

/// A live session, and how it is doing. The numbers are not all of one instant.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Which it is.
    pub session: Session,
    /// How long it has been here.
    pub age: Duration,
    /// State of the session.
    pub state: SessionState,
    /// Cursor up to which everything was handed to the client's connection. `None` if the source has no cursors.
    /// Without a tag.
    pub cursor: Option<Cursor>,
    /// Bytes of events handed to its connection, framing included.
    pub bytes: u64,
    /// How many events they were.
    pub events: u64,
    /// How many gaps it was told of.
    pub gaps: u64,
    /// How many events they were, as far as that is known.
    pub missed: u64,
    /// How many events it did not get for newer ones of their keys.
    pub conflated: u64,
    /// How many events the source has that were not handed to its connection, at most: those of topics that the session
    /// does not follow are counted too. Exactly 0 when it had all there was the last time it was looked after. `None`
    /// where the source can't say.
    pub lag: Option<u64>,
}

/// State of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionState {
    /// It gets events.
    Open,
    /// A run of polls, between two of them.
    Idle,
    /// It is being ended: its goodbye is on its way.
    Leaving,
}

impl SessionState {
    /// Every state, in the order of the enum.
    pub const ALL: [Self; 3] = [Self::Open, Self::Idle, Self::Leaving];
}

impl SessionEntry {
    /// Returns how the session is doing, unless it has left.
    pub(crate) fn info(&self) -> Option<SessionInfo> {
        let locked = self.locked.lock();
        let (state, begin, head) = (locked.lifecycle.state(), locked.lifecycle.begin(), locked.head.clone());
        drop(locked);
        let state = state?;
        let track = self.track.read();
        Some(SessionInfo {
            session: self.session.clone(),
            age: self.shared.runtime.wheel.now().saturating_duration_since(begin),
            state,
            cursor: track.cursor,
            bytes: track.bytes,
            events: track.events,
            gaps: track.gaps,
            missed: track.missed,
            conflated: track.conflated,
            lag: self.track.lag(head.as_deref()),
        })
    }
}
