use crate::endpoint::body::BodyError;

/// Kind of a session, by the means to end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::endpoint::session) enum SessionKind {
    /// A body of the HTTP stack, which polls it at any time, or never.
    Stream,
    /// A single poll. Its handler receives the end as an order.
    Poll,
    /// A session of many polls, some of them at once. Between two polls it has no task.
    PollSession,
    /// A WebSocket. Its task receives the end as an order.
    WebSocket,
}

/// Phase of a session, as its own task sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// The session ends in order: a stream may yield this many more pieces before its last item.
    Leaving(u8),
    /// The last bytes of a stream are on their way. The stream breaks off with this error after that.
    Flushing(BodyError),
    /// The stream breaks off with this error when it is polled.
    Broken(BodyError),
    /// The authorization is revoked, and the client of a poll or a WebSocket is still to receive this reason.
    Revoked,
    /// The session is cut off and has left. A body that is still polled breaks off with this error.
    Cut(BodyError),
    Over,
}

/// Relation of a session to the session table and the publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registration {
    /// The session is not in the table: it was not admitted yet, or it is the body of a poll's reply.
    Outside,
    /// The session is in the table, and `joined` has not returned.
    Joining,
    Joined,
    /// The session ended before `joined` returned. `left` is called after that.
    EndedWhileJoining,
    Left,
}
