use std::fmt;
#[cfg(feature = "websocket")]
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Method, Response};

use super::answer;
use super::asked;
use super::body::Body;
use super::config::Config;
use super::erased::ErasedPublisher;
use super::head::Head;
use super::headers::{self, METHODS};
use super::negotiate::{self, Posted, Wanted};
use super::refusal::Refusal;
use super::registry::Registry;
use super::rejects::Rejects;
use super::runtime::Runtime;
use super::stats::{Cause, Counters};
use crate::contract::{Rejection, Start, Transport};

/// What an endpoint's handles and sessions share.
pub(super) struct Mount {
    pub(super) config: Config,
    pub(super) publisher: Box<dyn ErasedPublisher>,
    pub(super) runtime: Runtime,
    #[cfg(feature = "websocket")]
    pub(super) websocket: Arc<crate::adapters::WebSocketConfig>,
    pub(super) registry: Registry,
    pub(super) rejects: Rejects,
    #[cfg(any(feature = "short-poll", feature = "long-poll"))]
    pub(super) replies: super::replies::Replies,
    pub(super) counters: Counters,
}

/// What is to be done for a request, read from its head.
pub(super) struct Front {
    pub(super) ask: Ask,
    /// The listed origin, for CORS.
    pub(super) origin: Option<HeaderValue>,
}

pub(super) enum Ask {
    /// Nothing more: this is the answer.
    Done(Response<Body>),
    Attach(Wanted),
    Receive(Posted),
}

impl Ask {
    /// How the client would have its events, and where it stands.
    pub(super) fn stream(&self) -> Option<(Transport, Start)> {
        match self {
            Self::Attach(wanted) => Some((wanted.transport, wanted.start)),
            Self::Done(_) | Self::Receive(_) => None,
        }
    }
}

impl Mount {
    /// Reads a request's head. Whatever can be answered by it alone is: no subscription is made for that.
    pub(super) fn front(&self, parts: &Parts) -> Front {
        let head = Head::of(parts);
        let (origin, judged) = self.config.origins.judge(parts, &head);
        let ask = match judged {
            Err(refusal) => Err((Cause::Origin, refusal)),
            Ok(()) => head
                .check(parts, self.config.max_head)
                .and_then(|()| self.ask(parts, &head, origin.as_ref()))
                .map_err(|refusal| (Cause::Request, refusal)),
        };
        let ask = ask.unwrap_or_else(|(cause, refusal)| {
            self.counters.refused(cause);
            Ask::Done(answer::refusal(refusal))
        });
        Front { ask, origin }
    }

    fn ask(&self, parts: &Parts, head: &Head<'_>, origin: Option<&HeaderValue>) -> Result<Ask, Refusal> {
        let Config { transports, max_topics_per_request, .. } = self.config;
        let wanted = match parts.method {
            Method::OPTIONS => return Ok(Ask::Done(headers::options(origin))),
            Method::POST => {
                if head.upgrades {
                    return Err(Refusal::bad("a WebSocket handshake is a GET"));
                }
                let posted = negotiate::post(parts, head, max_topics_per_request)?;
                self.runtime.ready().map_err(|missing| Refusal::internal(missing.as_str()))?;
                return Ok(Ask::Receive(posted));
            }
            Method::HEAD => {
                let wanted = negotiate::get(parts, head, transports, max_topics_per_request)?;
                return Ok(Ask::Done(answer::head(wanted.transport, parts.version)));
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
        Ok(Ask::Attach(wanted))
    }

    pub(super) fn refused_by_publisher(&self, rejection: Rejection) -> Refusal {
        self.counters.refused(Cause::Publisher);
        Refusal::of(rejection, &self.config.challenge)
    }

    /// "Later", and when.
    pub(super) fn later(&self) -> Refusal {
        self.counters.refused(Cause::Busy);
        Refusal::later(self.config.jittered_retry_over(self.registry.is_spread()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.runtime.wheel.stop();
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount").field("config", &self.config).finish_non_exhaustive()
    }
}
