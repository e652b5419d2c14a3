use super::{Accepted, Publisher};
use crate::contract::{BoxSubscriber, Rejection};
use crate::endpoint::request::SubscribeRequest;

/// No publisher: for an endpoint whose requests all come by [`Endpoint::respond`](crate::Endpoint::respond), from handlers
/// that subscribe by themselves. A request that comes another way is refused with 500, and one that posts a message as
/// [`Publisher::receive`] does by default.
impl Publisher for () {
    type Subscriber = BoxSubscriber;

    async fn subscribe(&self, _: SubscribeRequest) -> Result<Accepted<BoxSubscriber>, Rejection> {
        Err(Rejection::internal("the endpoint has no publisher: answer the request by `Endpoint::respond`"))
    }
}
