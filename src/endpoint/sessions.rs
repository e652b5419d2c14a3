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
    /// The cost grows with the page. The lock of the session table is held for at most 1,024 sessions at a time, so the
    /// page is not of one instant: a session that ends or begins meanwhile may be left out. Ids ascend, so sessions that
    /// begin later come at the end.
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
            let entries = self.shared().sessions.entries_after(after, AT_ONCE.min(limit - page.len()));
            let Some(last) = entries.last() else { break };
            after = Some(last.session.id());
            // A session that has left since is skipped.
            page.extend(entries.iter().filter_map(|entry| entry.info()));
        }
        page
    }

    /// Returns the number of live sessions.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.shared().sessions.len()
    }

    /// Returns the number of sessions that follow a topic at this moment, by its name or by a pattern. Poll sessions are
    /// counted, short polls without a name are not.
    ///
    /// The cost grows with the number of sessions. To tell clients of each change, publish it in
    /// [`joined`](crate::Publisher::joined) and [`left`](crate::Publisher::left).
    #[must_use]
    pub fn presence(&self, topic: &Topic) -> usize {
        let follows = |session: &Session| session.topics().iter().any(|pattern| pattern.matches(topic));
        self.shared().sessions.entries().iter().filter(|entry| follows(&entry.session)).count()
    }

    /// Ends a session in order, as a drain does: events that are ready go out, then the transport's last item, and the
    /// client may come back. A held poll is answered. A session whose client does not take its last item within a
    /// [write timeout](crate::EndpointBuilder::write_timeout) is cut off.
    ///
    /// Returns whether there was such a session that was open.
    pub fn disconnect(&self, id: SessionId) -> bool {
        self.shared().sessions.get(id).is_some_and(|entry| entry.disconnect())
    }

    /// Disconnects every session that matches. Returns their number.
    ///
    /// They end at once. For very many sessions use [`drain`](Self::drain), which spreads the ends.
    pub fn disconnect_where(&self, matches: impl Fn(&Session) -> bool) -> usize {
        let entries = self.shared().sessions.entries().into_iter();
        entries.filter(|entry| matches(&entry.session) && entry.disconnect()).count()
    }

    /// Ends the authorization of a client: after this call has returned, not one more event goes out to the client. Bytes
    /// that another thread was giving to the connection at that moment have gone out. The library drops the rest.
    ///
    /// A WebSocket is closed with 1008 (cut off, where half of a frame was written), a stream breaks off, a held poll is
    /// answered with 401, and a reply of more than 64 KiB (1 KiB over HTTP/2) that is going out breaks off. If the client of
    /// such a reply takes nothing, its rest is freed by the [write timeout](crate::EndpointBuilder::write_timeout). If the
    /// client comes back, [`Publisher::subscribe`](crate::Publisher::subscribe) decides, as it does for each poll.
    ///
    /// Returns whether there was such a session that was authorized.
    pub fn revoke(&self, id: SessionId) -> bool {
        self.shared().sessions.get(id).is_some_and(|entry| entry.revoke())
    }

    /// Revokes every session that matches. Returns their number.
    pub fn revoke_where(&self, matches: impl Fn(&Session) -> bool) -> usize {
        let entries = self.shared().sessions.entries().into_iter();
        entries.filter(|entry| matches(&entry.session) && entry.revoke()).count()
    }
}
