use std::future::Future;
use std::sync::Arc;

use http::request::Parts;

use super::reject::refusal::Refusal;
use super::request::negotiate::Wanted;
use super::response::future::{Answer, Work};
use super::server::connection::Hop;
use super::session::admit::Guest;
use super::shared::Shared;
use super::time::timeout::timeout;
use crate::contract::{BoxSubscriber, Subscriber, Transport};
use crate::endpoint::publisher::Accepted;
use crate::endpoint::request::SubscribeRequest;
use crate::time::Clock;

/// A client that is to be let in.
pub(crate) struct Arrival {
    pub(crate) shared: Arc<Shared>,
    pub(crate) wanted: Wanted,
    pub(crate) request: SubscribeRequest,
    /// Subscriber that the application has made itself; taken when the client is admitted.
    pub(crate) given: Option<Accepted<BoxSubscriber>>,
}

/// Authorization and subscriber of a client that is admitted.
pub(crate) struct Visitor {
    pub(crate) guest: Guest,
    pub(crate) attach: Accepted<BoxSubscriber>,
}

impl Shared {
    /// Gives a client its subscriber, by the transport that it wants. `given` is one that the application has made
    /// itself; else the publisher is asked.
    pub(crate) fn attach(
        self: Arc<Self>,
        parts: Parts,
        mut wanted: Wanted,
        given: Option<Accepted<BoxSubscriber>>,
    ) -> Work {
        #[cfg(feature = "websocket")]
        if wanted.transport == Transport::WebSocket {
            return Box::pin(async move { self.upgrade(parts, wanted, given).await.map(Answer::Now) });
        }
        let hop = Hop::of(&parts);
        let request = wanted.request(parts);
        let arrival = Arrival { shared: self, wanted, request, given };
        // Each a future of its own, so that none is as large as the largest.
        match arrival.wanted.transport {
            #[cfg(feature = "short-poll")]
            Transport::ShortPoll => Box::pin(super::poll::held::short(arrival, hop)),
            #[cfg(feature = "long-poll")]
            Transport::LongPoll => Box::pin(super::poll::held::long(arrival, hop)),
            #[cfg(feature = "chunked")]
            Transport::Chunked => Box::pin(super::stream::response::chunked(arrival, hop)),
            #[cfg(feature = "sse")]
            Transport::Sse => Box::pin(super::stream::response::sse(arrival, hop)),
            #[allow(unreachable_patterns, reason = "which are left depends on what is built")]
            _ => Box::pin(std::future::ready(Err(Refusal::bad("this transport is not built in")))),
        }
    }

    #[allow(clippy::manual_async_fn, reason = "an async fn keeps each argument twice, for as long as it runs")]
    fn ask_publisher(
        &self,
        request: &SubscribeRequest,
        key: Option<&Arc<str>>,
    ) -> impl Future<Output = Result<Accepted<BoxSubscriber>, Refusal>> + Send {
        async move {
            let _permit = self.calls.try_enter(key).map_err(|full| self.full(full))?;
            let deadline = self.config.subscribe_timeout;
            match timeout(&self.runtime.wheel, deadline, self.publisher.subscribe(request.clone())).await {
                Some(subscribed) => subscribed.map_err(|rejection| self.refused_by_publisher(rejection)),
                None => Err(self.busy(format!("subscribe took longer than {deadline:?}"))),
            }
        }
    }

    /// Refuses a client that there is no place for, as it is now.
    fn find_place(&self, wanted: &Wanted, key: Option<&Arc<str>>, stays: bool) -> Result<(), Refusal> {
        match self.sessions.has_place(key, stays, wanted.run_label(key).as_ref()) {
            true => Ok(()),
            false => Err(self.later()),
        }
    }

    /// Returns the limit key that a request counts against.
    pub(crate) fn key(&self, request: &SubscribeRequest) -> Option<Arc<str>> {
        self.publisher.limit_key(request).map(Arc::from)
    }
}

impl Arrival {
    /// Asks the publisher, where there is a place, unless the application has made the subscriber itself.
    #[allow(clippy::manual_async_fn, reason = "an async fn keeps each argument twice, for as long as it runs")]
    pub(crate) fn authorize(&mut self) -> impl Future<Output = Result<Visitor, Refusal>> + Send {
        async move {
            let key = self.shared.key(&self.request);
            let stays = self.wanted.is_session(key.as_ref());
            self.shared.find_place(&self.wanted, key.as_ref(), stays)?;
            if let Some(attach) = self.given.take() {
                return Ok(self.visitor(key, stays, attach));
            }
            let attach = self.shared.ask_publisher(&self.request, key.as_ref()).await?;
            Ok(self.visitor(key, stays, attach))
        }
    }

    fn visitor(&self, key: Option<Arc<str>>, stays: bool, mut attach: Accepted<BoxSubscriber>) -> Visitor {
        let wheel = &self.shared.runtime.wheel;
        self.shared.counters.attached();
        let right = attach.lifetime.map(|lifetime| wheel.after(lifetime));
        let topics = if stays { attach.subscriber.info().into_topics() } else { Vec::new() };
        let guest = Guest { key, data: attach.data.take(), right, topics, came: wheel.now() };
        Visitor { guest, attach }
    }
}
