use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Method, Response};

use super::body::Body;
use super::catch_panic::catch_panic;
use super::config::Config;
use super::drain::DrainState;
use super::erased::ErasedPublisher;
use super::gate::{Full, Gate};
use super::instruments;
use super::presence::Presence;
use super::refused::{Hook, Refused};
use super::reject::RefusalCause;
use super::reject::brief_connections::BriefConnections;
use super::reject::refusal::Refusal;
use super::request::content_encoding;
use super::request::cors;
use super::request::head::RequestHead;
use super::request::negotiate::{self, MessageParams, SubscribeParams};
use super::request::origin::Access;
use super::request::stream_only;
use super::request::upgrade_request;
use super::response::answer;
use super::response::headers::{self, METHODS};
use super::session::session_table::SessionTable;
use super::session::{SessionMeters, Timeouts};
use super::stats::Counters;
use super::time::runtime::Runtime;
use crate::contract::{Rejection, Start, Transport};

/// State that an endpoint's handles and sessions share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) publisher: Box<dyn ErasedPublisher>,
    pub(crate) runtime: Runtime,
    #[cfg(feature = "websocket")]
    pub(crate) websocket: Arc<crate::transport::websocket::WebSocketConfig>,
    pub(crate) sessions: SessionTable,
    pub(crate) drain: DrainState,
    pub(crate) timeouts: Timeouts,
    pub(crate) soft_rejects: Arc<BriefConnections>,
    /// Clients of [ended sources](super::ended_source) that are held for a moment. A drain does not wait for them.
    pub(crate) ended_clients: Arc<BriefConnections>,
    #[cfg(any(feature = "short-poll", feature = "long-poll"))]
    pub(crate) reply_cache: super::poll::reply_cache::ReplyCache,
    pub(crate) counters: Counters,
    /// Concurrent calls of `subscribe` and `snapshot`.
    pub(crate) calls: Gate,
    /// Concurrent calls of `receive`. They are limited apart from the others because they have no timeout.
    pub(crate) messages: Gate,
    /// Called for each refusal.
    pub(crate) hook: Option<Hook>,
    pub(crate) presence: Option<Presence>,
    #[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "it is empty"))]
    pub(crate) session_meters: SessionMeters,
}

/// Result of the checks of a request's head.
pub(crate) struct Dispatch {
    pub(crate) action: RequestAction,
    /// Origin for the CORS headers.
    pub(crate) origin: Option<HeaderValue>,
    /// Access of the page that the request comes from.
    pub(crate) access: Access,
}

/// Work that a request needs after the checks of its head.
pub(crate) enum RequestAction {
    Respond(Response<Body>),
    Subscribe(SubscribeParams),
    Receive(MessageParams),
}

impl RequestAction {
    /// Returns the transport and the start of a subscription.
    pub(crate) fn stream(&self) -> Option<(Transport, Start)> {
        match self {
            Self::Subscribe(params) => Some((params.transport, params.start)),
            Self::Respond(_) | Self::Receive(_) => None,
        }
    }
}

impl Shared {
    /// Checks the head of a request. A request that can be answered by its head alone is answered without a
    /// subscription.
    ///
    /// `is_given` is set if the application passed a subscriber. Then every method subscribes, except HEAD and OPTIONS.
    pub(crate) fn dispatch(&self, parts: &Parts, is_given: bool) -> Dispatch {
        let head = RequestHead::of(parts);
        let (origin, checked) = self.config.origins.check(parts, &head);
        let access = *checked.as_ref().unwrap_or(&Access::Full);
        let action = match checked {
            Err(refusal) => Err(refusal.caused_by(RefusalCause::Origin)),
            Ok(_) => head
                .check(parts, self.config.max_request_head)
                .and_then(|()| self.action(parts, &head, origin.as_ref(), is_given)),
        };
        let action = action.unwrap_or_else(|refusal| RequestAction::Respond(self.refuse(parts, refusal)));
        Dispatch { action, origin, access }
    }

    /// Applies the rules for hosts and origins, and to a method that only a stream answers also those for the head.
    ///
    /// # Errors
    ///
    /// Returns the answer to a request that is refused.
    pub(crate) fn check(&self, parts: &Parts) -> Result<(), Box<Response<Body>>> {
        let head = RequestHead::of(parts);
        let (origin, checked) = self.config.origins.check(parts, &head);
        let checked = match checked {
            Err(refusal) => Err(refusal.caused_by(RefusalCause::Origin)),
            Ok(_) if stream_only::is_for(&parts.method) => self.check_stream(parts, &head),
            Ok(_) => Ok(()),
        };
        checked.map_err(|refusal| {
            let mut response = self.refuse(parts, refusal);
            headers::add_common_headers(&mut response, origin.as_ref());
            Box::new(response)
        })
    }

    fn check_stream(&self, parts: &Parts, head: &RequestHead<'_>) -> Result<(), Refusal> {
        let Config { transports, query_limits, max_request_head, .. } = self.config;
        head.check(parts, max_request_head)?;
        negotiate::subscribe_params(parts, head, transports, query_limits).map(drop)
    }

    /// Reports a refusal that follows from the head of a request. Returns its answer without the common headers.
    #[cold]
    fn refuse(&self, parts: &Parts, refusal: Refusal) -> Response<Body> {
        let refused = Refused::new(refusal.cause, refusal.log_text());
        self.report_refusal(&refused.of_parts(parts).status_is(refusal.status));
        answer::refusal(refusal)
    }

    fn action(
        &self,
        parts: &Parts,
        head: &RequestHead<'_>,
        origin: Option<&HeaderValue>,
        is_given: bool,
    ) -> Result<RequestAction, Refusal> {
        let Config { transports, query_limits, .. } = self.config;
        let params = match parts.method {
            _ if is_given && stream_only::is_for(&parts.method) => {
                negotiate::subscribe_params(parts, head, transports, query_limits)?
            }
            Method::OPTIONS => {
                let allow_headers = || cors::allow_headers(&self.config.origins.headers, &parts.headers);
                return Ok(RequestAction::Respond(headers::options(origin, allow_headers)));
            }
            Method::POST => {
                if head.upgrades {
                    return Err(Refusal::bad("a WebSocket handshake must be a GET"));
                }
                content_encoding::check(&parts.headers)?;
                let params = negotiate::message_params(parts, head, query_limits)?;
                self.runtime.ready().map_err(|missing| Refusal::internal(missing.as_str()))?;
                return Ok(RequestAction::Receive(params));
            }
            Method::HEAD => {
                let params = negotiate::subscribe_params(parts, head, transports, query_limits)?;
                return Ok(RequestAction::Respond(answer::head(&self.config, &params, parts)));
            }
            Method::GET => negotiate::subscribe_params(parts, head, transports, query_limits)?,
            Method::CONNECT => match upgrade_request::extended_protocol(parts) {
                Some("websocket") => negotiate::subscribe_params(parts, head, transports, query_limits)?,
                Some(_) => return Err(Refusal::protocol()),
                None => return Err(Refusal::method(METHODS)),
            },
            _ => return Err(Refusal::method(METHODS)),
        };
        self.runtime.ready().map_err(|missing| Refusal::internal(missing.as_str()))?;
        Ok(RequestAction::Subscribe(params))
    }

    /// Counts a refusal and calls the application's hook. Call it once for each refusal, and under no lock.
    pub(crate) fn report_refusal(&self, refused: &Refused<'_>) {
        self.counters.refused(refused.cause());
        instruments::refused(refused);
        if let Some(hook) = &self.hook {
            let _ = catch_panic(|| hook(refused));
        }
    }

    pub(crate) fn refused_by_publisher(&self, rejection: Rejection) -> Refusal {
        Refusal::of(rejection, &self.config.challenge)
    }

    /// Returns the refusal of a session beyond the session limits, or during a drain.
    pub(crate) fn no_place(&self) -> Refusal {
        self.busy(match self.sessions.is_closed() {
            true => "endpoint is draining",
            false => "too many sessions: max_sessions, or max_sessions_per_key of the limit key, is reached",
        })
    }

    /// Returns the refusal of a call beyond the limits of concurrent calls.
    pub(crate) fn full(&self, full: Full) -> Refusal {
        self.busy(full.as_str())
    }

    /// Returns the refusal of a client that is to retry later. The text is for the operator.
    pub(crate) fn busy(&self, log: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal::retry_later(self.config.jittered_retry_over(self.sessions.spread_of_drain())).with_log(log)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.runtime.wheel.stop();
        if let Some(presence) = &self.presence {
            presence.remove_all(self);
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}
