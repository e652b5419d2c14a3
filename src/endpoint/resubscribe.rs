use super::accepted::IntoAccepted;
use super::service::Endpoint;
use crate::endpoint::session::SessionId;

/// Error of [`Endpoint::resubscribe`].
///
/// ```
/// use tidings::{Endpoint, LocalHub, ResubscribeError, SessionId, Subscribe};
///
/// let hub = LocalHub::new();
/// let events = Endpoint::public(&hub, ["news"]);
/// let news = hub.subscribe(Subscribe::topics(["news"]))?;
/// assert_eq!(events.resubscribe(SessionId::from(1), news), Err(ResubscribeError::NotFound));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ResubscribeError {
    /// No live session has this id.
    #[error("no live session has this id")]
    NotFound,
    /// The session ends: it is drained, disconnected or revoked.
    #[error("session is ending")]
    Ended,
    /// The session is of polls. Each poll names its topics.
    #[error("session is of polls, each of which names its topics")]
    Poll,
    /// The session's source or the subscriber has no cursors, the subscriber cannot
    /// [skip to one](crate::Subscriber::skip_to), or the two are of different hubs.
    #[error("topics cannot be changed: a subscriber has no cursors, cannot skip to one, or is of another hub")]
    NoCursors,
}

impl Endpoint {
    /// Changes the topics of a session: another subscriber takes the place of the present one. The session must be a stream
    /// or a WebSocket.
    ///
    /// The change is made between two deliveries. The client first gets the events of the present subscriber up to the
    /// position of the new one, which then [skips](crate::Subscriber::skip_followed) what the client has. No event of a topic
    /// that both follow is lost or doubled, and the state of a keyed topic is sent if the session did not follow it. The
    /// client of `tidings.v1` gets the object `{"tidings":"topics","topics":[…],"cursor":"…"}`, other clients get no notice.
    /// [`Session::topics`](crate::Session::topics) are the new ones from then on.
    ///
    /// A second call before that replaces the first. A change that the client asked for, and that is not made yet, is
    /// made after it, and the publisher is asked again. A session without a position waits: it gets a snapshot, or has
    /// a gap of another epoch before its first event. A client that reads nothing keeps its topics until it reads. To
    /// stop events at once, [revoke](Self::revoke) the session.
    ///
    /// [`Accepted::with_lifetime`](crate::Accepted::with_lifetime) sets the lifetime as [`extend`](Self::extend) does,
    /// and [`with_throttle`](crate::Accepted::with_throttle) replaces that of the session. Without them, the session
    /// keeps its own. [`with_data`](crate::Accepted::with_data) has no effect: the session keeps its data. A throttled
    /// session gets the events up to the position of the new subscriber with its next delivery, and the change is made
    /// after them.
    ///
    /// ```
    /// use tidings::{Endpoint, LocalHub, Session, Start, Subscribe, Topic};
    ///
    /// /// Adds a room to every session of a user.
    /// fn invite(events: &Endpoint, hub: &LocalHub, user: &str, room: Topic) -> Result<(), Box<dyn std::error::Error>> {
    ///     let is_of_user = |session: &Session| session.data::<String>().is_some_and(|of| of == user);
    ///     for info in events.sessions().into_iter().filter(|info| is_of_user(&info.session)) {
    ///         let topics = info.session.topics().iter().filter_map(|name| name.as_topic().cloned()).collect::<Vec<_>>();
    ///         let subscribe = Subscribe::topics(topics.into_iter().chain([room.clone()])).added([room.clone()]);
    ///         let start = info.cursor.map_or(Start::Now, Start::After);
    ///         events.resubscribe(info.session.id(), hub.subscribe(subscribe.start(start))?)?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such session, or its topics cannot be changed. If the hub refuses the position
    /// only when the change is made, the session keeps its topics and
    /// [`on_refusal`](crate::EndpointBuilder::on_refusal) is called.
    pub fn resubscribe(&self, id: SessionId, accepted: impl IntoAccepted) -> Result<(), ResubscribeError> {
        let entry = self.shared().sessions.get(id).ok_or(ResubscribeError::NotFound)?;
        if entry.transport().is_poll() {
            return Err(ResubscribeError::Poll);
        }
        let mut accepted = accepted.into_accepted().boxed();
        if !entry.may_change_to(&mut accepted.subscriber) {
            return Err(ResubscribeError::NoCursors);
        }
        entry.give_subscriber(accepted).then_some(()).ok_or(ResubscribeError::Ended)
    }
}
