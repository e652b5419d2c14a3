use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::contract::{BoxSubscriber, Message, Rejection};
use crate::endpoint::accepted::Accepted;
use crate::endpoint::publisher::Publisher;
use crate::endpoint::request::SubscribeRequest;
use crate::endpoint::session::{Session, SessionEnd};
use crate::model::{Event, Gap};
use crate::subscriber::Snapshot;

type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type Answer<'a, T> = Work<'a, Result<T, Rejection>>;

/// Object-safe form of [`Publisher`], implemented for every publisher.
pub(crate) trait ErasedPublisher: Send + Sync {
    fn limit_key(&self, request: &SubscribeRequest) -> Option<String>;
    fn subscribe(&self, request: SubscribeRequest) -> Answer<'_, Accepted<BoxSubscriber>>;
    fn receive<'a>(&'a self, request: &'a SubscribeRequest, message: Message) -> Answer<'a, Option<Event>>;
    fn snapshot<'a>(&'a self, session: &'a Session, gap: &'a Gap) -> Work<'a, Option<Snapshot>>;
    fn renew<'a>(&'a self, session: &'a Session) -> Work<'a, Option<Duration>>;
    fn joined(&self, session: &Session);
    fn left(&self, session: &Session, why: SessionEnd);
}

impl<P: Publisher> ErasedPublisher for P {
    fn limit_key(&self, request: &SubscribeRequest) -> Option<String> {
        Publisher::limit_key(self, request)
    }

    fn subscribe(&self, request: SubscribeRequest) -> Answer<'_, Accepted<BoxSubscriber>> {
        Box::pin(async move { Ok(Publisher::subscribe(self, request).await?.boxed()) })
    }

    fn receive<'a>(&'a self, request: &'a SubscribeRequest, message: Message) -> Answer<'a, Option<Event>> {
        Box::pin(Publisher::receive(self, request, message))
    }

    fn snapshot<'a>(&'a self, session: &'a Session, gap: &'a Gap) -> Work<'a, Option<Snapshot>> {
        Box::pin(Publisher::snapshot(self, session, gap))
    }

    fn renew<'a>(&'a self, session: &'a Session) -> Work<'a, Option<Duration>> {
        Box::pin(Publisher::renew(self, session))
    }

    fn joined(&self, session: &Session) {
        Publisher::joined(self, session);
    }

    fn left(&self, session: &Session, why: SessionEnd) {
        Publisher::left(self, session, why);
    }
}
