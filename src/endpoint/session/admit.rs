use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use super::session_table::NoPlace;
use crate::contract::{Rejection, Transport};
use crate::endpoint::reject::refusal::Refusal;
use crate::endpoint::request::negotiate::Wanted;
use crate::endpoint::session::{Label, Session};
use crate::endpoint::session::{NoEffect, SessionGuard};
use crate::endpoint::shared::Shared;
use crate::model::Pattern;

/// Result of the publisher's authorization of a client.
#[derive(Clone)]
pub(crate) struct Guest {
    /// Limit key that the client counts against.
    pub(crate) key: Option<Arc<str>>,
    pub(crate) data: Option<Arc<dyn Any + Send + Sync>>,
    /// When its right ends.
    pub(crate) right: Option<Instant>,
    /// Topics and patterns of the session, if it is one.
    pub(crate) topics: Vec<Pattern>,
    /// When it was let in.
    pub(crate) came: Instant,
}

impl Shared {
    /// A session for a client, with a place in the registry. The publisher knows of it.
    pub(crate) fn admit(self: &Arc<Self>, wanted: &Wanted, guest: Guest) -> Result<SessionGuard, Refusal> {
        let (came, right) = (guest.came, guest.right);
        let guard = SessionGuard::joining(self, self.session(wanted, guest), came, right);
        guard.join().map_err(|_| self.later())
    }

    /// Admits a poll. A poll with a name belongs to a run, which it joins or begins; a short poll without a name is no
    /// session.
    ///
    /// A poll was let in before this, so one that is refused neither begins nor prolongs a run.
    #[cfg(any(feature = "short-poll", feature = "long-poll"))]
    #[allow(clippy::manual_async_fn, reason = "an async fn keeps each argument twice, for as long as it runs")]
    pub(crate) fn admit_poll(
        self: &Arc<Self>,
        wanted: &Wanted,
        guest: Guest,
    ) -> impl Future<Output = Result<SessionGuard, Refusal>> + Send {
        async move {
            match wanted.run_label(guest.key.as_ref()) {
                // Boxed, for most polls are of none.
                Some(label) => Box::pin(self.admit_to_poll_session(wanted, label, guest)).await,
                None => self.admit_alone(wanted, guest),
            }
        }
    }

    /// Admits a poll that belongs to no run. A long one is a session of its own, a short one is none.
    #[cfg(any(feature = "short-poll", feature = "long-poll"))]
    fn admit_alone(self: &Arc<Self>, wanted: &Wanted, guest: Guest) -> Result<SessionGuard, Refusal> {
        match wanted.transport {
            Transport::ShortPoll => {
                let (came, right) = (guest.came, guest.right);
                Ok(SessionGuard::outside(self, self.session(wanted, guest), came, right))
            }
            _ => self.admit(wanted, guest),
        }
    }

    /// Admits a poll of the run that has this label.
    #[cfg(any(feature = "short-poll", feature = "long-poll"))]
    async fn admit_to_poll_session(
        self: &Arc<Self>,
        wanted: &Wanted,
        label: Label,
        guest: Guest,
    ) -> Result<SessionGuard, Refusal> {
        loop {
            let Some(run) = self.sessions.run(&label) else {
                match SessionGuard::first_poll(self, self.session(wanted, guest.clone()), guest.came, guest.right)
                    .join()
                {
                    Err(NoPlace::Taken) => continue,
                    joined => return joined.map_err(|_| self.later()),
                }
            };
            let session = run.session.of_request(guest.data.clone(), guest.topics.clone());
            match SessionGuard::next_poll(run.clone(), session, guest.right) {
                Ok(poll) => {
                    poll.joined().await;
                    poll.entry().session.follow(guest.topics);
                    return Ok(poll);
                }
                // Others who share the key and the name must not keep this client out.
                Err(NoEffect::TooManyPolls) => return self.admit_alone(wanted, guest),
                Err(NoEffect::Ended) => self.sessions.forget(&run),
            }
        }
    }

    /// Returns the refusal of a client whose authorization ended.
    #[cfg(any(feature = "short-poll", feature = "long-poll"))]
    pub(crate) fn revoked(&self) -> Refusal {
        Refusal::of(Rejection::Unauthorized, &self.config.challenge).logged("authorization revoked")
    }

    fn session(&self, wanted: &Wanted, guest: Guest) -> Session {
        let Guest { key, data, topics, .. } = guest;
        Session::new(self.sessions.next_id(), wanted.transport, wanted.name.clone(), key, data, topics)
    }
}
