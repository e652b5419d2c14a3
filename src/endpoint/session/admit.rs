use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use super::session_table::NoPlace;
use crate::contract::{Rejection, Transport};
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::request::negotiate::Wanted;
use crate::endpoint::session::{Label, NoEffect, Session, SessionGuard};
use crate::endpoint::shared::Shared;
use crate::model::Pattern;

/// Authorization of a client by the publisher.
#[derive(Clone)]
pub(crate) struct Authorization {
    /// Limit key that the client counts against.
    pub(crate) key: Option<Arc<str>>,
    pub(crate) data: Option<Arc<dyn Any + Send + Sync>>,
    /// End of the authorization.
    pub(crate) expires: Option<Instant>,
    /// Topics and patterns of the session, if it is one.
    pub(crate) topics: Vec<Pattern>,
    /// Time of the authorization.
    pub(crate) begin: Instant,
}

impl Shared {
    /// Returns a session in the session table, after the publisher's `joined`.
    pub(crate) fn admit(
        self: &Arc<Self>,
        wanted: &Wanted,
        authorization: Authorization,
    ) -> Result<SessionGuard, Refusal> {
        let (begin, expires) = (authorization.begin, authorization.expires);
        let guard = SessionGuard::joining(self, self.session(wanted, authorization), begin, expires);
        guard.join().map_err(|_| self.later())
    }

    /// Admits a poll. A poll with a name belongs to a poll session, which it joins or begins. A short poll without a name is
    /// no session.
    ///
    /// The poll was authorized before this, so a poll that is refused neither begins nor prolongs a poll session.
    #[cfg(any(feature = "short-poll", feature = "long-poll"))]
    #[allow(clippy::manual_async_fn, reason = "an async fn keeps each argument twice, for as long as it runs")]
    pub(crate) fn admit_poll(
        self: &Arc<Self>,
        wanted: &Wanted,
        authorization: Authorization,
    ) -> impl Future<Output = Result<SessionGuard, Refusal>> + Send {
        async move {
            match wanted.run_label(authorization.key.as_ref()) {
                // Boxed, since most polls belong to none.
                Some(label) => Box::pin(self.admit_to_poll_session(wanted, label, authorization)).await,
                None => self.admit_alone(wanted, authorization),
            }
        }
    }

    /// Admits a poll that belongs to no poll session. A long poll is a session of its own, a short one is none.
    #[cfg(any(feature = "short-poll", feature = "long-poll"))]
    fn admit_alone(self: &Arc<Self>, wanted: &Wanted, authorization: Authorization) -> Result<SessionGuard, Refusal> {
        match wanted.transport {
            Transport::ShortPoll => {
                let (begin, expires) = (authorization.begin, authorization.expires);
                Ok(SessionGuard::outside(self, self.session(wanted, authorization), begin, expires))
            }
            _ => self.admit(wanted, authorization),
        }
    }

    /// Admits a poll of the poll session that has this label.
    #[cfg(any(feature = "short-poll", feature = "long-poll"))]
    async fn admit_to_poll_session(
        self: &Arc<Self>,
        wanted: &Wanted,
        label: Label,
        authorization: Authorization,
    ) -> Result<SessionGuard, Refusal> {
        loop {
            let Some(entry) = self.sessions.poll_session(&label) else {
                match SessionGuard::first_poll(
                    self,
                    self.session(wanted, authorization.clone()),
                    authorization.begin,
                    authorization.expires,
                )
                .join()
                {
                    Err(NoPlace::Taken) => continue,
                    joined => return joined.map_err(|_| self.later()),
                }
            };
            let session = entry.session.of_request(authorization.data.clone(), authorization.topics.clone());
            match SessionGuard::next_poll(entry.clone(), session, authorization.expires) {
                Ok(poll) => {
                    poll.joined().await;
                    poll.entry().session.follow(authorization.topics);
                    return Ok(poll);
                }
                // Other clients with this key and name must not keep this client out.
                Err(NoEffect::TooManyPolls) => return self.admit_alone(wanted, authorization),
                Err(NoEffect::Ended) => self.sessions.forget(&entry),
            }
        }
    }

    /// Returns the refusal of a client whose authorization ended.
    #[cfg(any(feature = "short-poll", feature = "long-poll"))]
    pub(crate) fn revoked(&self) -> Refusal {
        Refusal::of(Rejection::Unauthorized, &self.config.challenge).logged("authorization revoked")
    }

    fn session(&self, wanted: &Wanted, authorization: Authorization) -> Session {
        let Authorization { key, data, topics, .. } = authorization;
        Session::new(self.sessions.next_id(), wanted.transport, wanted.name.clone(), key, data, topics)
    }
}
