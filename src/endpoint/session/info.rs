use std::time::Duration;

use super::entry::SessionEntry;
use crate::endpoint::session::Session;
use crate::model::Cursor;
use crate::time::Clock;

/// Live session with its counts. The numbers are not all of one instant.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Session that the numbers are of.
    pub session: Session,
    /// Time since the session began.
    pub age: Duration,
    /// State of the session.
    pub state: SessionState,
    /// Cursor up to which everything was handed to the client's connection. `None` if the source has no cursors.
    /// Without a tag.
    pub cursor: Option<Cursor>,
    /// Cursor up to which the client is known to have received everything. It never exceeds what was sent, and never
    /// goes back while the source stays in one epoch. `None` if nothing is known. Without a tag.
    ///
    /// | transport | the client acknowledges |
    /// |---|---|
    /// | polls | by the cursor with which it polls |
    /// | SSE, chunked streams | by the cursor with which it resumed, since it sends nothing after that |
    /// | WebSocket under `tidings.v1` | by that cursor, and by each pong, up to the events before its ping |
    /// | raw WebSocket | by that cursor; by pongs with [`raw_websocket_acknowledgements`](crate::EndpointBuilder::raw_websocket_acknowledgements) |
    ///
    /// A pong shows that the client's WebSocket stack received the events, and not that its application has handled
    /// them. A pong counts if its payload is that of the ping that is not answered yet. A cursor with which a client
    /// resumes counts if the source continues there.
    ///
    /// ```
    /// use tidings::stats::SessionInfo;
    ///
    /// /// Returns whether the client is known to have received an event.
    /// fn has_received(info: &SessionInfo, event: tidings::Cursor) -> bool {
    ///     let is_after = |known: tidings::Cursor| known.epoch() == event.epoch() && known.sequence() >= event.sequence();
    ///     info.acknowledged.is_some_and(is_after)
    /// }
    /// ```
    pub acknowledged: Option<Cursor>,
    /// Number of bytes of events given to the connection, with framing.
    pub bytes: u64,
    /// Number of events given to the connection.
    pub events: u64,
    /// Number of gaps sent to the client.
    pub gaps: u64,
    /// Number of events in these gaps, as far as that is known.
    pub missed: u64,
    /// Number of events that were left out because newer ones of their keys replaced them.
    pub conflated: u64,
    /// Upper bound of the events that the source has and the connection was not given. Events of topics that the session
    /// does not follow count too. 0 if the session had everything when it last read. `None` if the head of the
    /// source is not known.
    pub lag: Option<u64>,
}

/// State of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionState {
    /// Gets events.
    Open,
    /// Waits for the next poll. Only poll sessions do.
    Idle,
    /// Ends: its last bytes are on their way.
    Leaving,
}

impl SessionState {
    /// Every state, in the order of the enum.
    pub const ALL: &'static [Self] = &[Self::Open, Self::Idle, Self::Leaving];
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
            acknowledged: track.acknowledged,
            bytes: track.bytes,
            events: track.events,
            gaps: track.gaps,
            missed: track.missed,
            conflated: track.conflated,
            lag: self.lag(head.as_deref()),
        })
    }
}
