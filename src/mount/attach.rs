use std::sync::Arc;

use http::request::Parts;

use super::admit::Guest;
use super::negotiate::Wanted;
use super::refusal::Refusal;
use super::response::{Answer, Work};
use super::shared::Mount;
use super::within::within;
use crate::contract::{Attach, BoxSubscriber, Clock, Label, SubscribeRequest, Subscriber, Transport};

/// A client that was let in.
pub(super) struct Visitor {
    pub(super) guest: Guest,
    pub(super) attach: Attach<BoxSubscriber>,
}

impl Mount {
    /// Gives a client its subscriber, by the transport that it wants. `given` is one that the application has made
    /// itself; else the publisher is asked.
    pub(super) fn attach(
        self: Arc<Self>,
        parts: Parts,
        mut wanted: Wanted,
        given: Option<Attach<BoxSubscriber>>,
    ) -> Work {
        #[cfg(feature = "websocket")]
        if wanted.transport == Transport::WebSocket {
            return Box::pin(async move { self.upgrade(parts, wanted, given).await.map(Answer::Now) });
        }
        let version = parts.version;
        let request = wanted.request(parts);
        Box::pin(async move {
            let visitor = self.let_in(&request, &wanted, given).await?;
            // Whoever only listens has no more use for it.
            drop(request);
            match wanted.transport {
                #[cfg(feature = "short-poll")]
                Transport::ShortPoll => super::poll::short(&self, &wanted, visitor).await,
                #[cfg(feature = "long-poll")]
                Transport::LongPoll => super::poll::long(&self, &wanted, visitor).await,
                #[cfg(feature = "chunked")]
                Transport::Chunked => super::stream::chunked(&self, &wanted, version, visitor).map(Answer::Now),
                #[cfg(feature = "sse")]
                Transport::Sse => super::stream::sse(&self, &wanted, version, visitor).map(Answer::Now),
                #[allow(unreachable_patterns, reason = "which are left depends on what is built")]
                _ => Err(Refusal::bad("this transport is not built in")),
            }
        })
    }

    /// Asks the publisher, where there is a place, unless the application has made the subscriber itself.
    #[allow(clippy::manual_async_fn, reason = "an async fn keeps each argument twice, for as long as it runs")]
    pub(super) fn let_in<'a>(
        &'a self,
        request: &'a SubscribeRequest,
        wanted: &'a Wanted,
        given: Option<Attach<BoxSubscriber>>,
    ) -> impl Future<Output = Result<Visitor, Refusal>> + Send + 'a {
        async move {
            let key = self.key(request);
            let label = wanted.run_name().map(|name| -> Label { (key.clone(), name) });
            if !self.registry.has_place(key.as_deref(), wanted.is_session(), label.as_ref()) {
                return Err(self.later());
            }
            let mut attach = match given {
                Some(attach) => attach,
                None => self.ask_publisher(request).await?,
            };
            self.counters.attached();
            let right = attach.lifetime.map(|lifetime| self.runtime.wheel.after(lifetime));
            let topics = if wanted.is_session() { attach.subscriber.topics() } else { Vec::new() };
            let guest = Guest { key, data: attach.data.take(), right, topics, came: self.runtime.wheel.now() };
            Ok(Visitor { guest, attach })
        }
    }

    async fn ask_publisher(&self, request: &SubscribeRequest) -> Result<Attach<BoxSubscriber>, Refusal> {
        let _permit = self.counters.permit(self.config.max_attaches).ok_or_else(|| self.later())?;
        let subscribed = within(&self.runtime.wheel, self.config.attach_deadline, self.publisher.subscribe(request));
        let subscribed = subscribed.await.ok_or_else(|| self.later())?;
        subscribed.map_err(|rejection| self.refused_by_publisher(rejection))
    }

    /// What a request counts against.
    pub(super) fn key(&self, request: &SubscribeRequest) -> Option<Arc<str>> {
        self.publisher.limit_key(request).map(Arc::from)
    }
}
