use std::future::{Future, ready};
use std::sync::Arc;

use http::request::Parts;

use super::accepted::Accepted;
use super::admit::Authorization;
use super::call::timed_out;
use super::connection::Hop;
use super::ended_source;
use super::reject::refusal::Refusal;
use super::request::SubscribeRequest;
use super::request::negotiate::SubscribeParams;
use super::response::answer::{Answer, Work};
use super::session::Arrival;
use super::shared::Shared;
use super::time::timeout::timeout;
use crate::contract::{BoxSubscriber, EndState, Subscriber, Transport};
use crate::time::Clock;

/// Request to subscribe that is not authorized yet.
pub(crate) struct PendingSubscribe {
    pub(crate) shared: Arc<Shared>,
    pub(crate) params: SubscribeParams,
    pub(crate) request: SubscribeRequest,
    /// Subscriber that the application passed to `Endpoint::respond`. `authorize` takes it. Boxed because most requests have
    /// none, and the value is moved several times.
    pub(crate) accepted: Option<Box<Accepted<BoxSubscriber>>>,
}

impl Shared {
    /// Answers a request to subscribe over the transport of its parameters. The publisher is asked for the subscriber,
    /// unless the application passed one as `accepted`.
    pub(crate) fn subscribe(
        self: Arc<Self>,
        mut parts: Parts,
        mut params: SubscribeParams,
        accepted: Option<Box<Accepted<BoxSubscriber>>>,
    ) -> Work {
        if ended_source::is_cursor_of(params.start) {
            return Box::pin(async move { ended_source::answer(&self, &mut parts, &params).await.map(Answer::Now) });
        }
        #[cfg(feature = "websocket")]
        if params.transport == Transport::WebSocket {
            return Box::pin(async move { self.upgrade(parts, params, accepted).await.map(Answer::Now) });
        }
        let hop = Hop::of(&parts);
        let request = params.request(parts);
        let pending = PendingSubscribe { shared: self, params, request, accepted };
        // One future for each transport: a common one would be as large as the largest.
        match pending.params.transport {
            #[cfg(feature = "short-poll")]
            Transport::ShortPoll => Box::pin(super::poll::short::short(pending, hop)),
            #[cfg(feature = "long-poll")]
            Transport::LongPoll => Box::pin(super::poll::long::long(pending, hop)),
            #[cfg(feature = "chunked")]
            Transport::Chunked => Box::pin(super::stream::response::chunked(pending, hop)),
            #[cfg(feature = "sse")]
            Transport::Sse => Box::pin(super::stream::response::sse(pending, hop)),
            #[allow(unreachable_patterns, reason = "the transports that are left depend on the features")]
            _ => Box::pin(ready(Err(Refusal::bad("transport is not built in: enable its cargo feature")))),
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
            let limit = self.config.subscribe_timeout;
            match timeout(&self.runtime.wheel, limit, self.publisher.subscribe(request.clone())).await {
                Some(subscribed) => subscribed.map_err(|rejection| self.refused_by_publisher(rejection)),
                None => Err(self.busy(timed_out("subscribe", limit))),
            }
        }
    }

    /// Refuses a request if the session limits leave no place for it.
    fn check_place(&self, params: &SubscribeParams, key: Option<&Arc<str>>, is_session: bool) -> Result<(), Refusal> {
        match self.sessions.has_place(key, is_session, params.poll_session_label(key).as_ref()) {
            true => Ok(()),
            false => Err(self.no_place()),
        }
    }

    /// Returns the limit key that a request counts against.
    pub(crate) fn key(&self, request: &SubscribeRequest) -> Option<Arc<str>> {
        self.publisher.limit_key(request).map(Arc::from)
    }
}

impl PendingSubscribe {
    /// Checks the session limits, and asks the publisher unless the application passed a subscriber.
    #[allow(clippy::manual_async_fn, reason = "an async fn keeps each argument twice, for as long as it runs")]
    pub(crate) fn authorize(
        &mut self,
    ) -> impl Future<Output = Result<(Authorization, Accepted<BoxSubscriber>), Refusal>> + Send {
        async move {
            let key = self.shared.key(&self.request);
            let is_session = self.params.is_session(key.as_ref());
            self.shared.check_place(&self.params, key.as_ref(), is_session)?;
            if let Some(accepted) = self.accepted.take() {
                return Ok(self.authorized(key, is_session, *accepted));
            }
            let accepted = self.shared.ask_publisher(&self.request, key.as_ref()).await?;
            Ok(self.authorized(key, is_session, accepted))
        }
    }

    fn authorized(
        &self,
        key: Option<Arc<str>>,
        is_session: bool,
        mut accepted: Accepted<BoxSubscriber>,
    ) -> (Authorization, Accepted<BoxSubscriber>) {
        let wheel = &self.shared.runtime.wheel;
        self.shared.counters.subscribed(self.params.transport);
        let expires = accepted.lifetime.map(|lifetime| wheel.after(lifetime));
        let (mut end_state, mut topics, mut arrival) = (EndState::Live, Vec::new(), Arrival::default());
        if is_session {
            let info = accepted.subscriber.info();
            let user_agent = || self.request.header("user-agent");
            arrival = Arrival::of(user_agent, self.request.extensions(), self.params.start, &info);
            (end_state, topics) = (info.end_state(), info.into_topics());
        }
        let (data, authorized_at) = (accepted.data.take(), wheel.now());
        let authorization = Authorization { key, data, expires, topics, end_state, authorized_at, arrival };
        (authorization, accepted)
    }
}
