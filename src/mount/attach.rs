use std::sync::Arc;

use http::request::Parts;
use http::{Response, Version};

use super::body::Body;
use super::mend::{self, Feed};
use super::negotiate::Wanted;
use super::refusal::Refusal;
use super::shared::Mount;
use super::within::within;
use crate::contract::{Attach, BoxSubscriber, Session, SessionId, SubscribeRequest, Transport};

/// A client that was let in.
pub(super) struct Visitor {
    pub(super) wanted: Wanted,
    pub(super) version: Version,
    pub(super) subscriber: Feed,
}

impl Mount {
    /// Gives a client its subscriber, by the transport that it wants. `given` is one that the application has made
    /// itself; else the publisher is asked.
    pub(super) async fn attach(
        self: Arc<Self>,
        parts: Parts,
        mut wanted: Wanted,
        given: Option<Attach<BoxSubscriber>>,
    ) -> Result<Response<Body>, Refusal> {
        if !self.registry.has_place(wanted.transport != Transport::ShortPoll) {
            return Err(self.later());
        }
        #[cfg(feature = "websocket")]
        if wanted.transport == Transport::WebSocket {
            return self.upgrade(parts, wanted, given).await;
        }
        let version = parts.version;
        let request = wanted.request(parts);
        let subscriber = self.subscriber(&request, given).await?;
        // Whoever only listens has no more use for it.
        drop(request);
        let visitor = Visitor { wanted, version, subscriber };
        match visitor.wanted.transport {
            #[cfg(feature = "short-poll")]
            Transport::ShortPoll => super::poll::short(&self, visitor).await,
            #[cfg(feature = "long-poll")]
            Transport::LongPoll => super::poll::long(&self, visitor).await,
            #[cfg(feature = "chunked")]
            Transport::Chunked => super::stream::chunked(&self, visitor),
            #[cfg(feature = "sse")]
            Transport::Sse => super::stream::sse(&self, visitor),
            #[allow(unreachable_patterns, reason = "which are left depends on what is built")]
            _ => Err(Refusal::bad("this transport is not built in")),
        }
    }

    /// The subscriber that was given, or that the publisher gives.
    pub(super) async fn subscriber(
        self: &Arc<Self>,
        request: &SubscribeRequest,
        given: Option<Attach<BoxSubscriber>>,
    ) -> Result<Feed, Refusal> {
        let attach = match given {
            Some(attach) => attach,
            None => {
                let _permit = self.counters.permit(self.config.max_attaches).ok_or_else(|| self.later())?;
                let subscribed =
                    within(&self.runtime.wheel, self.config.attach_deadline, self.publisher.subscribe(request));
                let subscribed = subscribed.await.ok_or_else(|| self.later())?;
                subscribed.map_err(|rejection| self.refused_by_publisher(rejection))?
            }
        };
        self.counters.attached();
        let session = Session::new(SessionId::new(0), request.transport(), None, None, attach.data.clone());
        Ok(mend::feed(self, session, attach, request.start()))
    }
}
