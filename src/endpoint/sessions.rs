use super::service::Endpoint;
use super::session::SessionInfo;
use crate::endpoint::session::{Session, SessionId};
use crate::model::Topic;

/// Sessions that are looked up under one lock of the registry, which every request takes too.
const AT_ONCE: usize = 1_024;

/// Lists sessions and ends them.
impl Endpoint {
    /// Returns every live session, in the order of the ids.
    ///
    /// For a listing that someone asks for, use [`sessions_after`](Self::sessions_after): the cost of this one grows with
    /// the number of sessions.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.sessions_after(None, usize::MAX)
    }

    /// Returns the live session of this id, at a cost that does not grow with the number of sessions.
    #[must_use]
    pub fn session(&self, id: SessionId) -> Option<SessionInfo> {
        self.shared().sessions.get(id)?.info()
    }

    /// Returns one page of the live sessions: the first `limit` of those whose id is greater than `after`, in the order of
    /// the ids. The id of the last one is `after` for the next page. A page is shorter only where there are no more.
    ///
    /// It looks at as many sessions as it returns, and holds the registry's lock for at most 1,024 of them at a time, so
    /// it is not of one instant: a session that ends or begins meanwhile may be left out. Ids are given in ascending
    /// order, so sessions that begin later come at the end.
    ///
    /// ```
    /// # fn list(endpoint: &tidings::Endpoint) {
    /// let mut after = None;
    /// loop {
    ///     let page = endpoint.sessions_after(after, 100);
    ///     let Some(last) = page.last() else { break };
    ///     after = Some(last.session.id());
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn sessions_after(&self, after: Option<SessionId>, limit: usize) -> Vec<SessionInfo> {
        let (mut page, mut after) = (Vec::new(), after);
        while page.len() < limit {
            let members = self.shared().sessions.members_after(after, AT_ONCE.min(limit - page.len()));
            let Some(last) = members.last() else { break };
            after = Some(last.session.id());
            // One that has left since is passed over.
            page.extend(members.iter().filter_map(|entry| entry.info()));
        }
        page
    }

    /// How many sessions are live.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.shared().sessions.len()
    }

    /// How many sessions follow a topic, by its name or by a pattern, as they are now: runs of polls are counted, and
    /// short polls without a name are not.
    ///
    /// Every session is looked at for it. To tell clients of each change, publish it in
    /// [`joined`](crate::Publisher::joined) and [`left`](crate::Publisher::left).
    #[must_use]
    pub fn presence(&self, topic: &Topic) -> usize {
        let follows = |session: &Session| session.topics().iter().any(|pattern| pattern.matches(topic));
        self.shared().sessions.members().iter().filter(|entry| follows(&entry.session)).count()
    }

    /// Ends a session in an orderly way, as its turn in a drain would: what is ready goes out, with its transport's
    /// goodbye, and the client may come back. A poll that is held is answered. One that doesn't take its goodbye within a
    /// [write stall](crate::EndpointBuilder::write_timeout) is cut off.
    ///
    /// Whether there was such a session that was not being ended.
    pub fn disconnect(&self, id: SessionId) -> bool {
        self.shared().sessions.get(id).is_some_and(|entry| entry.disconnect())
    }

    /// Disconnects every session that matches. Returns their number.
    ///
    /// They are not paced: for very many there is [`drain`](Self::drain).
    pub fn disconnect_where(&self, is_meant: impl Fn(&Session) -> bool) -> usize {
        let members = self.shared().sessions.members().into_iter();
        members.filter(|entry| is_meant(&entry.session) && entry.disconnect()).count()
    }

    /// Ends a client's right: from this call's return on not one more event goes out to it. What another thread was
    /// handing to the connection at that moment has gone out; what the library still has is thrown away.
    ///
    /// A WebSocket is closed with 1008 (cut off, where half of a frame was written), a stream breaks off, a held poll is
    /// answered with 401, and a reply of more than 64 KiB (1 KiB over HTTP/2) that is going out breaks off. If the client of
    /// such a reply takes nothing, its rest is freed by the [write timeout](crate::EndpointBuilder::write_timeout). A client that comes back is a matter of [`Publisher::subscribe`](crate::Publisher::subscribe),
    /// as each poll is.
    ///
    /// Whether there was such a session that had a right.
    pub fn revoke(&self, id: SessionId) -> bool {
        self.shared().sessions.get(id).is_some_and(|entry| entry.revoke())
    }

    /// Revokes every session that matches. Returns their number.
    pub fn revoke_where(&self, is_meant: impl Fn(&Session) -> bool) -> usize {
        let members = self.shared().sessions.members().into_iter();
        members.filter(|entry| is_meant(&entry.session) && entry.revoke()).count()
    }
}
