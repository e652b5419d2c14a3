use std::future::Future;
use std::pin::Pin;

use crate::contract::{BoxSubscriber, Message, Publisher, Rejection, SubscribeRequest};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Rejection>> + Send + 'a>>;

/// A publisher of any type, so that an endpoint has one.
pub(super) trait ErasedPublisher: Send + Sync {
    fn subscribe<'a>(&'a self, request: &'a SubscribeRequest) -> Answer<'a, BoxSubscriber>;
    fn receive<'a>(&'a self, request: &'a SubscribeRequest, message: Message) -> Answer<'a, ()>;
}

impl<P: Publisher> ErasedPublisher for P {
    fn subscribe<'a>(&'a self, request: &'a SubscribeRequest) -> Answer<'a, BoxSubscriber> {
        Box::pin(async move {
            let attach = Publisher::subscribe(self, request).await?;
            Ok(Box::new(attach.subscriber) as BoxSubscriber)
        })
    }

    fn receive<'a>(&'a self, request: &'a SubscribeRequest, message: Message) -> Answer<'a, ()> {
        Box::pin(Publisher::receive(self, request, message))
    }
}
