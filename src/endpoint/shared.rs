use std::borrow::Cow;
use std::fmt;
#[cfg(feature = "websocket")]
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Method, Response};

use super::body::Body;
use super::catch_panic::catch_panic;
use super::config::Config;
use super::erased::ErasedPublisher;
use super::gate::{Full, Gate};
use super::reject::refusal::Refusal;
use super::reject::refused::{Hook, RefusalCause, Refused};
use super::reject::rejects::Rejects;
use super::request::asked;
use super::request::content_encoding;
use super::request::cors;
use super::request::head::Head;
use super::request::negotiate::{self, Posted, Wanted};
use super::request::origin::Access;
use super::response::answer;
use super::response::headers::{self, METHODS};
use super::session::Timeouts;
use super::session::session_table::SessionTable;
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
    pub(crate) timeouts: Timeouts,
    pub(crate) rejects: Rejects,
    #[cfg(any(feature = "short-poll", feature = "long-poll"))]
    pub(crate) replies: super::poll::replies::Replies,
    pub(crate) counters: Counters,
    /// Calls of `subscribe` and `snapshot` under way.
    pub(crate) calls: Gate,
    /// Messages under way. They may take as long as they like, and so have places of their own.
    pub(crate) messages: Gate,
    /// Called for each refusal.
    pub(crate) hook: Option<Hook>,
}

/// Action for a request, read from its head.
pub(crate) struct Front {
    pub(crate) ask: Ask,
    /// The origin to name in CORS headers.
    pub(crate) origin: Option<HeaderValue>,
    /// Access of the page that the request comes from.
    pub(crate) access: Access,
}

pub(crate) enum Ask {
    /// Nothing more: this is the answer.
    Done(Response<Body>),
    Subscribe(Wanted),
    Receive(Posted),
}

impl Ask {
    /// How the client would have its events, and where it stands.
    pub(crate) fn stream(&self) -> Option<(Transport, Start)> {
        match self {
            Self::Subscribe(wanted) => Some((wanted.transport, wanted.start)),
            Self::Done(_) | Self::Receive(_) => None,
        }
    }
}

impl Shared {
    /// Reads a request's head. Whatever can be answered by it alone is: no subscription is made for that.
    pub(crate) fn front(&self, parts: &Parts) -> Front {
        let head = Head::of(parts);
        let (origin, checked) = self.config.origins.check(parts, &head);
        let access = *checked.as_ref().unwrap_or(&Access::Full);
        let ask = match checked {
            Err(refusal) => Err(refusal.caused_by(RefusalCause::Origin)),
            Ok(_) => {
                head.check(parts, self.config.max_request_head).and_then(|()| self.ask(parts, &head, origin.as_ref()))
            }
        };
        let ask = ask.unwrap_or_else(|refusal| {
            let refused = Refused::new(refusal.cause, refusal.text());
            self.tell(&refused.of_parts(parts).status_is(refusal.status));
            Ask::Done(answer::refusal(refusal))
        });
        Front { ask, origin, access }
    }

    fn ask(&self, parts: &Parts, head: &Head<'_>, origin: Option<&HeaderValue>) -> Result<Ask, Refusal> {
        let Config { transports, max_topics_per_request, .. } = self.config;
        let wanted = match parts.method {
            Method::OPTIONS => {
                let allow_headers = || cors::allow_headers(&self.config.origins.headers, &parts.headers);
                return Ok(Ask::Done(headers::options(origin, allow_headers)));
            }
            Method::POST => {
                if head.upgrades {
                    return Err(Refusal::bad("a WebSocket handshake is a GET"));
                }
                content_encoding::check(&parts.headers)?;
                let posted = negotiate::post(parts, head, max_topics_per_request)?;
                self.runtime.ready().map_err(|missing| Refusal::internal(missing.as_str()))?;
                return Ok(Ask::Receive(posted));
            }
            Method::HEAD => {
                let wanted = negotiate::get(parts, head, transports, max_topics_per_request)?;
                return Ok(Ask::Done(answer::head(&wanted, parts.version)));
            }
            Method::GET => negotiate::get(parts, head, transports, max_topics_per_request)?,
            Method::CONNECT => match asked::extended_protocol(parts) {
                Some("websocket") => negotiate::get(parts, head, transports, max_topics_per_request)?,
                Some(_) => return Err(Refusal::protocol()),
                None => return Err(Refusal::method(METHODS)),
            },
            _ => return Err(Refusal::method(METHODS)),
        };
        self.runtime.ready().map_err(|missing| Refusal::internal(missing.as_str()))?;
        Ok(Ask::Subscribe(wanted))
    }

    /// Counts a refusal, and calls the application's hook. Called once for each, under no lock.
    pub(crate) fn tell(&self, refused: &Refused<'_>) {
        self.counters.refused(refused.cause());
        if let Some(hook) = &self.hook {
            let _ = catch_panic(|| hook(refused));
        }
    }

    pub(crate) fn refused_by_publisher(&self, rejection: Rejection) -> Refusal {
        Refusal::of(rejection, &self.config.challenge)
    }

    /// Returns the refusal of a client that there is no place for as a session.
    pub(crate) fn later(&self) -> Refusal {
        self.busy(match self.sessions.is_draining() {
            true => "endpoint is draining",
            false => "too many sessions: max_sessions, or max_sessions_per_key of the limit key, is reached",
        })
    }

    /// Returns the refusal of a call that has no place.
    pub(crate) fn full(&self, full: Full) -> Refusal {
        self.busy(full.as_str())
    }

    /// Returns the refusal of a client that is to come back later. The text is for the operator.
    pub(crate) fn busy(&self, log: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal::later(self.config.jittered_retry_over(self.sessions.is_spread())).logged(log)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.runtime.wheel.stop();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}
