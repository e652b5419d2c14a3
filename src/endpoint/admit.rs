use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use super::accepted::Accepted;
use super::reject::refusal::Refusal;
use super::request::negotiate::SubscribeParams;
use super::session::session_table::NoPlace;
use super::session::{Arrival, Label, NoEffect, Session, SessionGuard};
use super::shared::Shared;
use crate::contract::{BoxSubscriber, EndState, Rejection, Transport};
use crate::model::Pattern;

/// Result of the publisher's authorization of a request, apart from the subscriber.
#[derive(Clone)]
pub(crate) struct Authorization {
    /// Limit key that the client counts against.
    pub(crate) key: Option<Arc<str>>,
    pub(crate) data: Option<Arc<dyn Any + Send + Sync>>,
    /// Time at which the authorization expires.
    pub(crate) expires: Option<Instant>,
    /// Topics and patterns of the session. Empty if the request makes no session.
    pub(crate) topics: Vec<Pattern>,
    /// State of the subscriber with regard to the ends of its topics. `Live` if the request makes no session.
    pub(crate) end_state: EndState,
    pub(crate) authorized_at: Instant,
    pub(crate) arrival: Arrival,
}

impl Authorization {
    /// Returns whether all topics had ended when the client came. `false` if the request makes no session.
    #[cfg(any(feature = "long-poll", feature = "chunked", feature = "websocket"))]
    pub(crate) fn came_late(&self) -> bool {
        self.end_state != EndState::Live
    }

    /// Returns whether all topics have ended and nothing is left for the client. `false` if the request makes no session.
    #[cfg(feature = "sse")]
    pub(crate) fn has_everything(&self, accepted: &Accepted<BoxSubscriber>) -> bool {
        self.end_state == EndState::Finished && accepted.snapshot.is_none()
    }
}

impl Shared {
    /// Registers a session for an authorized request, and calls the publisher's `joined`.
    pub(crate) fn admit(
        self: &Arc<Self>,
        params: &SubscribeParams,
        authorization: Authorization,
    ) -> Result<SessionGuard, Refusal> {
        let (authorized_at, expires) = (authorization.authorized_at, authorization.expires);
        let arrival = authorization.arrival.clone();
        let guard = SessionGuard::joining(self, self.session(params, authorization), authorized_at, expires);
        guard.join(&arrival).map_err(|_| self.no_place())
    }

    /// Admits a poll. A poll with a session name and a limit key joins its poll session, or begins one. A short poll
    /// without them makes no session.
    ///
    /// The poll is authorized before this, so a rejected poll neither begins a poll session nor keeps one alive.
    #[cfg(any(feature = "short-poll", feature = "long-poll"))]
    #[allow(clippy::manual_async_fn, reason = "an async fn keeps each argument twice, for as long as it runs")]
    pub(crate) fn admit_poll(
        self: &Arc<Self>,
        params: &SubscribeParams,
        authorization: Authorization,
    ) -> impl Future<Output = Result<SessionGuard, Refusal>> + Send {
        async move {
            match params.poll_session_label(authorization.key.as_ref()) {
                // Boxed because most polls have no label.
                Some(label) => Box::pin(self.admit_to_poll_session(params, label, authorization)).await,
                None => self.admit_alone(params, authorization),
            }
        }
    }

    /// Admits a poll outside of a poll session. A long poll is a session of its own; a short poll is none.
    #[cfg(any(feature = "short-poll", feature = "long-poll"))]
    fn admit_alone(
        self: &Arc<Self>,
        params: &SubscribeParams,
        authorization: Authorization,
    ) -> Result<SessionGuard, Refusal> {
        match params.transport {
            Transport::ShortPoll => {
                let (authorized_at, expires) = (authorization.authorized_at, authorization.expires);
                Ok(SessionGuard::outside(self, self.session(params, authorization), authorized_at, expires))
            }
            _ => self.admit(params, authorization),
        }
    }

    /// Admits a poll to the poll session of this label.
    #[cfg(any(feature = "short-poll", feature = "long-poll"))]
    async fn admit_to_poll_session(
        self: &Arc<Self>,
        params: &SubscribeParams,
        label: Label,
        authorization: Authorization,
    ) -> Result<SessionGuard, Refusal> {
        loop {
            let Some(entry) = self.sessions.poll_session(&label) else {
                let session = self.session(params, authorization.clone());
                let guard = SessionGuard::first_poll(self, session, authorization.authorized_at, authorization.expires);
                match guard.join(&authorization.arrival) {
                    Err(NoPlace::Taken) => continue,
                    joined => return joined.map_err(|_| self.no_place()),
                }
            };
            let session = entry.session.of_request(authorization.data.clone(), authorization.topics.clone());
            match SessionGuard::next_poll(entry.clone(), session, authorization.expires) {
                Ok(poll) => {
                    poll.joined().await;
                    poll.entry().session.follow(authorization.topics);
                    return Ok(poll);
                }
                // Other clients with the same key and name must not lock this one out.
                Err(NoEffect::TooManyPolls) => return self.admit_alone(params, authorization),
                Err(NoEffect::Ended) => self.sessions.forget(&entry),
            }
        }
    }

    /// Returns the refusal of a client whose authorization ended.
    #[cfg(any(feature = "short-poll", feature = "long-poll"))]
    pub(crate) fn revoked(&self) -> Refusal {
        Refusal::of(Rejection::Unauthorized, &self.config.challenge).with_log("authorization revoked")
    }

    fn session(&self, params: &SubscribeParams, authorization: Authorization) -> Session {
        let Authorization { key, data, topics, .. } = authorization;
        Session::new(self.sessions.next_id(), params.transport, params.name.clone(), key, data, topics)
    }
}
