use std::future::Future;
use std::sync::Arc;

use http::request::Parts;

use super::admit::Guest;
use super::connection::Hop;
use super::negotiate::Wanted;
use super::refusal::Refusal;
use super::response::{Answer, Work};
use super::shared::Mount;
use super::within::within;
use crate::contract::{Attach, BoxSubscriber, Clock, SubscribeRequest, Subscriber, Transport};

/// A client that is to be let in.
pub(super) struct Arrival {
    pub(super) mount: Arc<Mount>,
    pub(super) wanted: Wanted,
    pub(super) request: SubscribeRequest,
    /// Subscriber that the application has made itself; taken when the client is admitted.
    pub(super) given: Option<Attach<BoxSubscriber>>,
}

/// Authorization and subscriber of a client that is admitted.
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
        let hop = Hop::of(&parts);
        let request = wanted.request(parts);
        let arrival = Arrival { mount: self, wanted, request, given };
        // Each a future of its own, so that none is as large as the largest.
        match arrival.wanted.transport {
            #[cfg(feature = "short-poll")]
            Transport::ShortPoll => Box::pin(super::poll::short(arrival, hop)),
            #[cfg(feature = "long-poll")]
            Transport::LongPoll => Box::pin(super::poll::long(arrival, hop)),
            #[cfg(feature = "chunked")]
            Transport::Chunked => Box::pin(super::stream::chunked(arrival, hop)),
            #[cfg(feature = "sse")]
            Transport::Sse => Box::pin(super::stream::sse(arrival, hop)),
            #[allow(unreachable_patterns, reason = "which are left depends on what is built")]
            _ => Box::pin(std::future::ready(Err(Refusal::bad("this transport is not built in")))),
        }
    }

    #[allow(clippy::manual_async_fn, reason = "an async fn keeps each argument twice, for as long as it runs")]
    fn ask_publisher(
        &self,
        request: &SubscribeRequest,
        key: Option<&Arc<str>>,
    ) -> impl Future<Output = Result<Attach<BoxSubscriber>, Refusal>> + Send {
        async move {
            let _permit = self.calls.try_enter(key).map_err(|full| self.full(full))?;
            let deadline = self.config.attach_deadline;
            match within(&self.runtime.wheel, deadline, self.publisher.subscribe(request)).await {
                Some(subscribed) => subscribed.map_err(|rejection| self.refused_by_publisher(rejection)),
                None => Err(self.busy(format!("subscribe took longer than {deadline:?}"))),
            }
        }
    }

    /// Refuses a client that there is no place for, as it is now.
    fn find_place(&self, wanted: &Wanted, key: Option<&Arc<str>>, stays: bool) -> Result<(), Refusal> {
        match self.registry.has_place(key, stays, wanted.run_label(key).as_ref()) {
            true => Ok(()),
            false => Err(self.later()),
        }
    }

    /// Returns the limit key that a request counts against.
    pub(super) fn key(&self, request: &SubscribeRequest) -> Option<Arc<str>> {
        self.publisher.limit_key(request).map(Arc::from)
    }
}

impl Arrival {
    /// Asks the publisher, where there is a place, unless the application has made the subscriber itself.
    #[allow(clippy::manual_async_fn, reason = "an async fn keeps each argument twice, for as long as it runs")]
    pub(super) fn let_in(&mut self) -> impl Future<Output = Result<Visitor, Refusal>> + Send {
        async move {
            let key = self.mount.key(&self.request);
            let stays = self.wanted.is_session(key.as_ref());
            self.mount.find_place(&self.wanted, key.as_ref(), stays)?;
            if let Some(attach) = self.given.take() {
                return Ok(self.visitor(key, stays, attach));
            }
            let attach = self.mount.ask_publisher(&self.request, key.as_ref()).await?;
            Ok(self.visitor(key, stays, attach))
        }
    }

    fn visitor(&self, key: Option<Arc<str>>, stays: bool, mut attach: Attach<BoxSubscriber>) -> Visitor {
        let wheel = &self.mount.runtime.wheel;
        self.mount.counters.attached();
        let right = attach.lifetime.map(|lifetime| wheel.after(lifetime));
        let topics = if stays { attach.subscriber.topics() } else { Vec::new() };
        let guest = Guest { key, data: attach.data.take(), right, topics, came: wheel.now() };
        Visitor { guest, attach }
    }
}
