use std::fmt;
use std::future::{Future, ready};

use crate::contract::{Message, Rejection, SubscribeRequest, Subscriber};

/// What an application implements: who may subscribe to what, from where, and what becomes of what clients send.
pub trait Publisher: Send + Sync + 'static {
    /// What a client is given to read from.
    type Subscriber: Subscriber;

    /// Authorises the client and chooses its topics and start. Called for every attach and every poll, before the
    /// client's cursor is used.
    fn subscribe(
        &self,
        request: &SubscribeRequest,
    ) -> impl Future<Output = Result<Attach<Self::Subscriber>, Rejection>> + Send;

    /// A message from the client: a WebSocket message, or a POST with its own headers. Refused unless implemented.
    fn receive(
        &self,
        request: &SubscribeRequest,
        message: Message,
    ) -> impl Future<Output = Result<(), Rejection>> + Send {
        let _ = (request, message);
        ready(Err(Rejection::Forbidden))
    }
}

/// A client's subscriber, with what the mount should know about the client.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attach<S> {
    /// What the client reads from.
    pub subscriber: S,
}

impl<S: Subscriber> From<S> for Attach<S> {
    fn from(subscriber: S) -> Self {
        Self { subscriber }
    }
}

/// A [`Publisher`] of one function, for an application that only decides who may subscribe to what.
///
/// The function takes the request by value (clones share it), so that its future may own it.
pub fn publisher_fn<F, R, S>(subscribe: F) -> PublisherFn<F>
where
    F: Fn(SubscribeRequest) -> R + Send + Sync + 'static,
    R: Future<Output = Result<S, Rejection>> + Send + 'static,
    S: Subscriber,
{
    PublisherFn { subscribe }
}

/// The publisher of [`publisher_fn`].
#[derive(Clone)]
pub struct PublisherFn<F> {
    subscribe: F,
}

impl<F, R, S> Publisher for PublisherFn<F>
where
    F: Fn(SubscribeRequest) -> R + Send + Sync + 'static,
    R: Future<Output = Result<S, Rejection>> + Send + 'static,
    S: Subscriber,
{
    type Subscriber = S;

    async fn subscribe(&self, request: &SubscribeRequest) -> Result<Attach<S>, Rejection> {
        (self.subscribe)(request.clone()).await.map(Attach::from)
    }
}

impl<F> fmt::Debug for PublisherFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublisherFn").finish_non_exhaustive()
    }
}
