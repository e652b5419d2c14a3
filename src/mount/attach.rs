use std::sync::Arc;

use http::request::Parts;
use http::{Response, Version};

use super::admit::Guest;
use super::body::Body;
use super::negotiate::Wanted;
use super::refusal::Refusal;
use super::shared::Mount;
use super::within::within;
use crate::contract::{Attach, BoxSubscriber, Label, SubscribeRequest, Transport};

/// A client that was let in.
pub(super) struct Visitor {
    pub(super) wanted: Wanted,
    pub(super) version: Version,
    pub(super) guest: Guest,
    pub(super) attach: Attach<BoxSubscriber>,
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
        #[cfg(feature = "websocket")]
        if wanted.transport == Transport::WebSocket {
            return self.upgrade(parts, wanted, given).await;
        }
        let version = parts.version;
        let request = wanted.request(parts);
        let visitor = self.let_in(&request, wanted, version, given).await?;
        // Whoever only listens has no more use for it.
        drop(request);
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

    /// Asks the publisher, where there is a place, unless the application has made the subscriber itself.
    pub(super) async fn let_in(
        &self,
        request: &SubscribeRequest,
        wanted: Wanted,
        version: Version,
        given: Option<Attach<BoxSubscriber>>,
    ) -> Result<Visitor, Refusal> {
        let key = self.key(request);
        let label = wanted.run_name().map(|name| -> Label { (key.clone(), name) });
        if !self.registry.has_place(key.as_deref(), wanted.is_session(), label.as_ref()) {
            return Err(self.later());
        }
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
        let right = attach.lifetime.map(|lifetime| self.runtime.wheel.after(lifetime));
        let guest = Guest { key, data: attach.data.clone(), right };
        Ok(Visitor { wanted, version, guest, attach })
    }

    /// What a request counts against.
    pub(super) fn key(&self, request: &SubscribeRequest) -> Option<Arc<str>> {
        self.publisher.limit_key(request).map(Arc::from)
    }
}
