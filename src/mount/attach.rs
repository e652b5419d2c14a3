use std::sync::Arc;

use http::Response;
use http::request::Parts;

use super::answer;
use super::body::Body;
use super::isolate::isolated;
use super::mount::Mount;
use super::negotiate::Wanted;
use super::refusal::Refusal;
use super::stats::Cause;
use crate::contract::{BoxSubscriber, SubscribeRequest, Transport};

/// What is known of a client that is let in.
pub(super) struct Visitor {
    pub(super) wanted: Wanted,
    pub(super) version: http::Version,
    pub(super) subscriber: BoxSubscriber,
}

impl Mount {
    /// Gives a client its subscriber, by the transport that it wants. `given` is a subscriber that the application has
    /// made itself; else the publisher is asked for one.
    ///
    /// Application code that panics here ends this request alone.
    pub(super) async fn attach(
        self: Arc<Self>,
        parts: Parts,
        wanted: Wanted,
        given: Option<BoxSubscriber>,
    ) -> Response<Body> {
        let (transport, start, version) = (wanted.transport, wanted.start, parts.version);
        let attached = match isolated(self.try_attach(parts, wanted, given)).await {
            Ok(attached) => attached,
            Err(_) => {
                self.counters.refused(Cause::Publisher);
                Err(Refusal::internal("internal error"))
            }
        };
        attached.unwrap_or_else(|refusal| match (refusal.later, transport) {
            #[cfg(feature = "sse")]
            (Some(retry), Transport::Sse) => super::stream::later(&self, retry, start, version),
            _ => {
                let _ = (transport, start, version);
                answer::refusal(refusal)
            }
        })
    }

    async fn try_attach(
        self: &Arc<Self>,
        mut parts: Parts,
        wanted: Wanted,
        given: Option<BoxSubscriber>,
    ) -> Result<Response<Body>, Refusal> {
        if !self.registry.has_place(wanted.transport != Transport::ShortPoll) {
            return Err(self.later());
        }
        let version = parts.version;
        #[cfg(feature = "websocket")]
        let upgrade = match wanted.transport {
            Transport::WebSocket => Some(super::upgrade::Upgrade::prepare(self, &mut parts)?),
            _ => None,
        };
        let request = SubscribeRequest::new(parts, wanted.topics.clone(), wanted.start, wanted.transport);
        let subscriber = match given {
            Some(subscriber) => subscriber,
            None => self.ask_publisher(&request).await?,
        };
        self.counters.attached();
        let visitor = Visitor { wanted, version, subscriber };
        match visitor.wanted.transport {
            #[cfg(feature = "short-poll")]
            Transport::ShortPoll => Ok(super::poll::short(self, visitor)),
            #[cfg(feature = "long-poll")]
            Transport::LongPoll => super::poll::long(self, visitor).await,
            #[cfg(feature = "chunked")]
            Transport::Chunked => super::stream::chunked(self, visitor),
            #[cfg(feature = "sse")]
            Transport::Sse => super::stream::sse(self, visitor),
            #[cfg(feature = "websocket")]
            Transport::WebSocket => match upgrade {
                Some(upgrade) => upgrade.accept(self, request, visitor),
                None => Err(Refusal::bad("no handshake")),
            },
            #[allow(unreachable_patterns, reason = "with every transport built, none is left")]
            _ => Err(Refusal::bad("this transport is not built in")),
        }
    }

    async fn ask_publisher(&self, request: &SubscribeRequest) -> Result<BoxSubscriber, Refusal> {
        let Some(_permit) = self.counters.permit(self.config.max_attaches) else {
            return Err(self.later());
        };
        self.publisher.subscribe(request).await.map_err(|rejection| {
            self.counters.refused(Cause::Publisher);
            Refusal::from(rejection)
        })
    }
}
