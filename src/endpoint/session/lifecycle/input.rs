use std::time::{Duration, Instant};

use crate::endpoint::body::BodyError;
use crate::endpoint::session::SessionEnd;

/// Input of the state machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Input {
    /// The table has no place for the session.
    NoPlace,
    /// `joined` has returned. `renew_before`: the authorization is to be renewed so long before it expires.
    Joined { max_age: Option<Duration>, renew_before: Duration },
    /// A drain has started, and this session's time comes at this instant.
    DrainAt(Instant),
    /// The application disconnects the session, which ends in order.
    Leave(SessionEnd),
    /// The authorization ends now.
    Revoke,
    /// The authorization ends now if it has expired.
    Expire,
    /// The application sets the time at which the authorization expires.
    Extend(Validity),
    /// The publisher answered that the authorization is renewed, or that it is not.
    Renewed(Option<Validity>),
    /// The session is cut off at once.
    Cut(SessionEnd),
    /// The session's task has determined the reason of its end.
    Note(SessionEnd),
    /// The stream yielded one of its last pieces.
    Piece,
    /// The stream yielded its last bytes, and breaks off with this error once they have left.
    BreakOff(BodyError),
    /// The body returned its end.
    Finish,
    /// The stream yielded bytes, or is new, and no check is due.
    Watch,
    /// A further poll of a poll session begins.
    BeginPoll,
    /// A poll of a poll session ends.
    EndPoll,
    /// A poll session gives way to another session, if it is between two polls.
    GiveWay,
    /// The alarm went off. `is_unread`: the stream yielded bytes, or is new, and was not polled since.
    Alarm { is_unread: bool },
    /// The session's task has ended the session, which leaves for this reason unless there is another.
    End(SessionEnd),
}

/// Time for which an authorization is valid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Validity {
    pub(crate) expires: Instant,
    /// Time before the expiry at which the publisher is asked to renew it.
    pub(crate) renew_before: Duration,
}

/// Times that the state machine depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    pub(crate) write: Duration,
    pub(crate) poll_session: Duration,
}

impl Input {
    /// Returns whether the effect depends on the time. If it does not, any time will do.
    pub(in crate::endpoint::session) fn depends_on_time(self) -> bool {
        match self {
            Self::Joined { max_age, .. } => max_age.is_some(),
            Self::Leave(_)
            | Self::Revoke
            | Self::Expire
            | Self::Extend(_)
            | Self::Renewed(_)
            | Self::BreakOff(_)
            | Self::Watch
            | Self::EndPoll
            | Self::Alarm { .. } => true,
            _ => false,
        }
    }
}
