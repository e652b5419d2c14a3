use super::Publisher;
use crate::contract::{BoxSubscriber, Rejection};
use crate::endpoint::accepted::Accepted;
use crate::endpoint::request::SubscribeRequest;

/// Publisher of an application that answers every request by [`Endpoint::respond`](crate::Endpoint::respond). A request
/// to subscribe that comes another way gets 500. A POST gets 405, as by the default of [`Publisher::receive`].
impl Publisher for () {
    type Subscriber = BoxSubscriber;

    async fn subscribe(&self, _: SubscribeRequest) -> Result<Accepted<BoxSubscriber>, Rejection> {
        Err(Rejection::internal("the endpoint has no publisher: answer the request by `Endpoint::respond`"))
    }
}
