use std::time::Duration;

use super::service::Endpoint;
use super::session::SessionInfo;
use crate::endpoint::session::{Session, SessionId};
use crate::model::Topic;

/// Most sessions that are read under one lock of the session table, which every request takes, too.
const AT_ONCE: usize = 1_024;

/// Lists of sessions, and their ends.
impl Endpoint {
    /// Returns every live session, in the order of the ids. The cost grows with the number of sessions: use
    /// [`sessions_after`](Self::sessions_after) for a listing that a request asks for.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.sessions_after(None, usize::MAX)
    }

    /// Returns the live session with this id. The cost does not grow with the number of sessions.
    #[must_use]
    pub fn session(&self, id: SessionId) -> Option<SessionInfo> {
        self.shared().sessions.get(id)?.info()
    }

    /// Returns one page of the live sessions: the first `limit` of those with an id greater than `after`, in the order
    /// of the ids. Pass the id of the last one as `after` for the next page. A page is shorter than `limit` only if it
    /// is the last.
    ///
    /// The method reads as many sessions as it returns, and holds the session table's lock for at most 1,024 of them at
    /// a time. The page is therefore not of one instant: a session that ends or begins meanwhile may be missing. Ids
    /// ascend, so later sessions come at the end.
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
        self.infos(after, limit, |_| true)
    }

    /// Returns the live sessions that follow a topic, by its name or by a pattern, in the order of the ids. Poll
    /// sessions are among them; short polls without a session name and a limit key are not.
    ///
    /// The cost grows with the number of all sessions, as that of [`sessions`](Self::sessions) does. To show clients
    /// which users are there, publish their [presence](crate::EndpointBuilder::presence).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tidings::{Endpoint, LocalHub, Topic};
    ///
    /// let events = Endpoint::public(&LocalHub::new(), ["news", "weather"]);
    /// let request = http::Request::get("/?transport=sse").header("host", "localhost").body(String::new())?;
    /// let response = events.handle(request).await;
    /// let readers = events.sessions_on(&Topic::new("news")?);
    /// assert_eq!(readers.len(), 1);
    /// assert!(events.sessions_on(&Topic::new("sport")?).is_empty());
    /// # drop(response);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sessions_on(&self, topic: &Topic) -> Vec<SessionInfo> {
        self.infos(None, usize::MAX, |session| session.topics().iter().any(|pattern| pattern.matches(topic)))
    }

    /// Returns the first `limit` sessions after an id for which `is_meant` returns `true`.
    fn infos(
        &self,
        mut after: Option<SessionId>,
        limit: usize,
        is_meant: impl Fn(&Session) -> bool,
    ) -> Vec<SessionInfo> {
        let mut page = Vec::new();
        while page.len() < limit {
            let members = self.shared().sessions.entries_after(after, AT_ONCE.min(limit - page.len()));
            let Some(last) = members.last() else { break };
            after = Some(last.session.id());
            // `None` for a session that has left since.
            page.extend(members.iter().filter(|entry| is_meant(&entry.session)).filter_map(|entry| entry.info()));
        }
        page
    }

    /// Returns the number of live sessions.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.shared().sessions.len()
    }

    /// Ends a session in an orderly way, as a [drain](Self::drain) does: events that are ready are sent, then the end
    /// of its transport, and the client may reconnect. A held poll is answered. A client that does not take the end
    /// within the [write timeout](crate::EndpointBuilder::write_timeout) is cut off.
    ///
    /// Returns `true` if the session was live and not already ending.
    pub fn disconnect(&self, id: SessionId) -> bool {
        self.shared().sessions.get(id).is_some_and(|entry| entry.disconnect())
    }

    /// Disconnects every session for which `is_meant` returns `true`. Returns their number. The ends are not spread
    /// over time, as those of a [`drain`](Self::drain) are.
    ///
    /// ```
    /// # fn disconnect_guests(events: &tidings::Endpoint) {
    /// let count = events.disconnect_where(|session| session.key().is_none());
    /// # }
    /// ```
    pub fn disconnect_where(&self, is_meant: impl Fn(&Session) -> bool) -> usize {
        let members = self.shared().sessions.entries().into_iter();
        members.filter(|entry| is_meant(&entry.session) && entry.disconnect()).count()
    }

    /// Revokes a client's authorization. After the method returns, no further event is sent to the client. Bytes that
    /// another thread was passing to the connection at that moment have been sent; the endpoint drops those that it
    /// still has.
    ///
    /// | transport | end |
    /// |---|---|
    /// | WebSocket | closed with 1008, or cut off in the middle of a frame |
    /// | streams | break off |
    /// | held poll | 401 |
    /// | reply of more than 64 KiB (1 KiB over HTTP/2) on its way | breaks off; if its client does not read, the rest is freed after the [write timeout](crate::EndpointBuilder::write_timeout) |
    ///
    /// [`Publisher::subscribe`](crate::Publisher::subscribe) decides whether the client may reconnect, and authorizes
    /// each poll.
    ///
    /// Returns `true` if the session was live and authorized.
    pub fn revoke(&self, id: SessionId) -> bool {
        self.shared().sessions.get(id).is_some_and(|entry| entry.revoke())
    }

    /// Sets the time after which the authorization of a session expires, from now on. It may be later or sooner than
    /// before, as the expiry of a new token. The session needs no [lifetime](crate::Accepted::with_lifetime) before.
    ///
    /// Returns `true` if the session is a stream or a WebSocket, and open. An authorization that was revoked or has
    /// expired is not extended. [`max_session_age`](crate::EndpointBuilder::max_session_age) ends the session
    /// nevertheless. [`Publisher::renew`](crate::Publisher::renew) is asked before the new time; the answer to an
    /// earlier call has no effect.
    ///
    /// The method checks nothing: the caller decides which client may extend which session. A client that sends its new
    /// token by a POST names the session by the id that the application gave it, or by `?session=NAME`. Extend it only
    /// if the new token yields the [limit key](crate::Publisher::limit_key) of the session, or a user could keep the
    /// sessions of another one open:
    ///
    /// ```
    /// # use std::time::Duration;
    /// use tidings::{Endpoint, Rejection, SessionId};
    ///
    /// struct Token {
    ///     user: String,
    ///     expires_in: Duration,
    /// }
    ///
    /// # fn verify(_: &str) -> Result<Token, Rejection> { Err(Rejection::Unauthorized) }
    /// /// Handles a POST with a new token. The application's limit key is the user.
    /// fn renew(events: &Endpoint, id: SessionId, token: &str) -> Result<(), Rejection> {
    ///     let token = verify(token)?;
    ///     let info = events.session(id).ok_or(Rejection::NotFound)?;
    ///     if info.session.key() != Some(&*token.user) {
    ///         return Err(Rejection::NotFound); // not Forbidden, which would confirm that the session exists
    ///     }
    ///     events.extend(id, token.expires_in).then_some(()).ok_or(Rejection::Gone)
    /// }
    /// ```
    pub fn extend(&self, id: SessionId, lifetime: Duration) -> bool {
        self.shared().sessions.get(id).is_some_and(|entry| entry.extend(lifetime))
    }

    /// [Extends](Self::extend) every session for which `is_meant` returns `true`. Returns their number.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # struct User { id: u64 }
    /// # fn renewed(events: &tidings::Endpoint, id: u64, expires_in: Duration) {
    /// // The publisher accepted each session `.with_data(User { id })`, and the user has a new token.
    /// events.extend_where(expires_in, |session| session.data::<User>().is_some_and(|user| user.id == id));
    /// # }
    /// ```
    pub fn extend_where(&self, lifetime: Duration, is_meant: impl Fn(&Session) -> bool) -> usize {
        let members = self.shared().sessions.entries().into_iter();
        members.filter(|entry| is_meant(&entry.session) && entry.extend(lifetime)).count()
    }

    /// Revokes every session for which `is_meant` returns `true`. Returns their number.
    ///
    /// A session that the publisher is accepting begins afterwards. Where that may be, let [`joined`](crate::Publisher::joined) check the
    /// authorization again, and [revoke](Self::revoke) the session.
    ///
    /// ```
    /// # struct User { id: u64 }
    /// # fn log_out(events: &tidings::Endpoint, id: u64) {
    /// // The publisher accepted each session `.with_data(User { id })`.
    /// events.revoke_where(|session| session.data::<User>().is_some_and(|user| user.id == id));
    /// # }
    /// ```
    pub fn revoke_where(&self, is_meant: impl Fn(&Session) -> bool) -> usize {
        let members = self.shared().sessions.entries().into_iter();
        members.filter(|entry| is_meant(&entry.session) && entry.revoke()).count()
    }
}
