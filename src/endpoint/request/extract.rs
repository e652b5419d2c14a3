use http::request::Parts;

use super::head::RequestHead;
use super::negotiate;
use super::transports::Transports;
use crate::contract::{Rejection, Transport};
use crate::endpoint::config::QUERY_LIMITS;
use crate::endpoint::request::SubscribeRequest;

impl SubscribeRequest {
    /// Reads a request as a publisher gets it: its topics, start and transport. For a handler of the application,
    /// before [`Endpoint::respond`](crate::Endpoint::respond). A POST has the transport of the stream that answers it.
    /// `?last=` is limited to 1,000 events.
    ///
    /// ```
    /// use tidings::{Rejection, SubscribeRequest};
    ///
    /// # fn main() -> Result<(), Rejection> {
    /// let (parts, ()) = http::Request::get("/events?topic=news").body(())?.into_parts();
    /// let request = SubscribeRequest::read(&parts)?;
    /// assert_eq!(request.topics()[0].as_str(), "news");
    ///
    /// let (parts, ()) = http::Request::get("/events?topic=").body(())?.into_parts();
    /// assert!(matches!(SubscribeRequest::read(&parts), Err(Rejection::Invalid(_))));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`Rejection::Invalid`] if a topic name is invalid, if there are more than 64 topics, or if the query is
    /// not UTF-8. A transport that is not offered is no error here; the endpoint refuses it.
    pub fn read(parts: &Parts) -> Result<Self, Rejection> {
        let invalid = |refusal: crate::endpoint::reject::refusal::Refusal| Rejection::Invalid(refusal.message);
        let head = RequestHead::of(parts);
        if let Ok(mut params) = negotiate::subscribe_params(parts, &head, Transports::BUILT, QUERY_LIMITS) {
            return Ok(params.request(parts.clone()));
        }
        let params = negotiate::message_params(parts, &head, QUERY_LIMITS).map_err(invalid)?;
        Ok(Self::new(parts.clone(), params.topics, params.start, Transport::ShortPoll))
    }
}

/// Extractor for handlers of axum, which calls [`read`](SubscribeRequest::read).
///
/// ```
/// use axum::extract::State;
/// use http::{Response, request::Parts};
/// use tidings::endpoint::RefusalResponse;
/// use tidings::{Body, Endpoint, LocalHub, SubscribeRequest};
///
/// async fn events(
///     State((endpoint, hub)): State<(Endpoint, LocalHub)>,
///     wanted: SubscribeRequest,
///     parts: Parts,
/// ) -> Result<Response<Body>, RefusalResponse> {
///     endpoint.check(&parts)?;
///     let subscription = hub.subscribe(wanted.subscribe_to(["news"]))?;
///     Ok(endpoint.respond(parts, subscription).await)
/// }
/// ```
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Sync> axum_core::extract::FromRequestParts<S> for SubscribeRequest {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        Self::read(parts)
    }
}
