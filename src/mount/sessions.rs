use super::endpoint::Endpoint;
use super::session::SessionInfo;
use crate::contract::{Left, Session, SessionId};

/// Who is there, and how they are ended.
impl Endpoint {
    /// Every live session, in no order.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.mount().registry.members().iter().filter_map(|member| member.info()).collect()
    }

    /// How many sessions are live.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.mount().registry.len()
    }

    /// Ends a session in an orderly way, as its turn in a drain would: what is ready goes out, with its transport's
    /// goodbye, and the client may come back. A poll that is held is answered. One that doesn't take its goodbye within a
    /// [write stall](crate::EndpointBuilder::write_stall) is cut off.
    ///
    /// Whether there was such a session that was not being ended.
    pub fn disconnect(&self, id: SessionId) -> bool {
        self.mount().registry.get(id).is_some_and(|member| member.leave_now(Left::Disconnected))
    }

    /// The same for every session that is like that. How many there were.
    ///
    /// They are not paced: for very many there is [`drain`](Self::drain).
    pub fn disconnect_where(&self, is_meant: impl Fn(&Session) -> bool) -> usize {
        let members = self.mount().registry.members().into_iter();
        members.filter(|member| is_meant(&member.who) && member.leave_now(Left::Disconnected)).count()
    }

    /// Ends a client's right: from this call's return on not one more event goes out to it. What another thread was
    /// handing to the connection at that moment has gone out; what the library still has is thrown away.
    ///
    /// A WebSocket is closed with 1008 (cut off, where half of a frame was written), a stream breaks off, a held poll is
    /// answered with 401. A client that comes back is a matter of [`Publisher::subscribe`](crate::Publisher::subscribe),
    /// as each poll is.
    ///
    /// Whether there was such a session that had a right.
    pub fn revoke(&self, id: SessionId) -> bool {
        self.mount().registry.get(id).is_some_and(|member| member.revoke())
    }

    /// The same for every session that is like that. How many there were.
    pub fn revoke_where(&self, is_meant: impl Fn(&Session) -> bool) -> usize {
        let members = self.mount().registry.members().into_iter();
        members.filter(|member| is_meant(&member.who) && member.revoke()).count()
    }
}
