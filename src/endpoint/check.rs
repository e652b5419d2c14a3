use std::fmt;

use http::request::Parts;
use http::{Response, StatusCode};

use super::body::Body;
use super::reject::challenge::Challenge;
use super::reject::refusal::Refusal;
use super::response::{answer, headers};
use super::service::Endpoint;
use crate::contract::Rejection;

impl Endpoint {
    /// Refuses a request that [`respond`](Self::respond) would refuse, before a handler of the application acts on it.
    ///
    /// `respond` applies the same rules, but too late for a handler that has effects: the handler has already stored the
    /// question or started the paid work. A browser sends the user's cookies with a POST of a page of another site. Call
    /// `check` first in each handler that has effects and answers by `respond`.
    ///
    /// The rules for hosts and origins apply to each method. The rules for the head and the query apply to the methods that
    /// `respond` answers with a stream only: all but GET, HEAD, OPTIONS and CONNECT. `check` reads no body. A refused request
    /// is counted and reported once, as one that the endpoint refuses itself.
    ///
    /// | route | use |
    /// |---|---|
    /// | the endpoint itself, or a handler that only calls [`handle`](Self::handle) | nothing, the endpoint checks |
    /// | a GET handler that only subscribes and calls [`respond`](Self::respond) | nothing, `respond` checks |
    /// | a handler that has effects and calls [`respond`](Self::respond) | `check` |
    /// | other routes: pages, forms, `POST /say` | [`origin_layer`](Self::origin_layer) |
    ///
    /// `check` refuses each request of a foreign page, and its refusal has the CORS headers of the endpoint's answers. The
    /// layer lets GETs of foreign pages pass, because other sites may link to a page, and adds no CORS headers. Extractors
    /// of a handler, such as axum's `Json`, run before `check`. To refuse before them, wrap the route in the layer as well.
    ///
    /// ```
    /// use axum::{Json, extract::State};
    /// use http::{Response, request::Parts};
    /// use tidings::endpoint::RefusalResponse;
    /// use tidings::{Body, Endpoint, LocalHub, Start, SubscribeRequest, Topic};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Question {
    ///     id: String,
    ///     text: String,
    /// }
    ///
    /// /// Answers `POST /ask` with a stream.
    /// async fn ask(
    ///     State((events, hub)): State<(Endpoint, LocalHub)>,
    ///     parts: Parts,
    ///     Json(question): Json<Question>,
    /// ) -> Result<Response<Body>, RefusalResponse> {
    ///     events.check(&parts)?; // a foreign page gets 403 here
    ///     let request = SubscribeRequest::read(&parts)?;
    ///     let topic = Topic::from_segments(["answers", &question.id])?; // 400 if the id contains `/` or `*`
    ///     let answer = hub.subscribe(request.subscribe_to([topic.clone()]))?;
    ///     // A client that was cut repeats its POST with its cursor, and only reads on.
    ///     let repeats = matches!(request.start(), Start::After(_) | Start::Unreadable);
    ///     if !repeats {
    ///         tokio::spawn(async move { hub.publish(topic, question.text).await });
    ///     }
    ///     Ok(events.respond(parts, answer).await)
    /// }
    ///
    /// # fn app(events: Endpoint, hub: LocalHub) -> axum::Router {
    /// // The endpoint answers the preflight of a page of another origin that is allowed.
    /// let route = axum::routing::post(ask).options_service(events.clone());
    /// axum::Router::new().route("/ask", route).with_state((events, hub))
    /// # }
    /// ```
    ///
    /// In code for hyper a refusal becomes the response:
    ///
    /// ```
    /// use http::{Request, Response};
    /// use tidings::{Body, Endpoint, Subscription};
    ///
    /// async fn ask<B>(events: &Endpoint, request: Request<B>, start: impl Fn() -> Subscription) -> Response<Body> {
    ///     let (parts, _body) = request.into_parts();
    ///     if let Err(refusal) = events.check(&parts) {
    ///         return refusal.into();
    ///     }
    ///     events.respond(parts, start()).await
    /// }
    /// ```
    ///
    /// Clients such as `fetch-event-source`, Datastar and htmx 4 repeat their POST with `Last-Event-ID` after a cut, even
    /// before the first event, because the hello has an id. A handler that acts on each POST would repeat the work.
    ///
    /// With [`allow_any_origin`](crate::EndpointBuilder::allow_any_origin) a GET of any page passes, and `parts` keep its
    /// cookies.
    ///
    /// # Errors
    ///
    /// Returns the answer that the endpoint gives to such a request, with its status, body and headers:
    ///
    /// | request | status |
    /// |---|---|
    /// | foreign `Origin`, or a `Sec-Fetch-Site` of another site | 403 |
    /// | no `Origin`, if [`allow_absent_origin`](crate::EndpointBuilder::allow_absent_origin) is `false` | 403 |
    /// | host that is not among the [`allowed_hosts`](crate::EndpointBuilder::allowed_hosts) | 421 |
    /// | host that is missing or malformed (RFC 9112 §3.2) | 400 |
    ///
    /// For all methods but GET, HEAD, OPTIONS and CONNECT also:
    ///
    /// | request | status |
    /// |---|---|
    /// | `?transport=` of a poll or a WebSocket, or unknown | 400 |
    /// | transport that the endpoint does not offer | as by [`respond`](Self::respond) |
    /// | `?wait=` or `Prefer: wait` | 400 |
    /// | WebSocket handshake | 400 |
    /// | query that is not UTF-8, or has an invalid `?topic=`, `?session=` or too many topics | 400 |
    /// | head larger than [`max_request_head`](crate::EndpointBuilder::max_request_head) | 414 or 431 |
    pub fn check(&self, parts: &Parts) -> Result<(), RefusalResponse> {
        self.shared().check(parts).map_err(RefusalResponse)
    }
}

/// Answer to a refused request: the error of [`Endpoint::check`], and of handlers that call it.
///
/// The `?` operator converts a [`Rejection`] and each error that a rejection can be made of, with the status and the body
/// of the rejection. Such an answer has no CORS headers.
///
/// It is axum's `IntoResponse` (feature `axum`), and `Response::from` makes the response in other code. It does not
/// implement `std::error::Error`, so that `?` cannot make a 500 of it.
pub struct RefusalResponse(Box<Response<Body>>);

impl RefusalResponse {
    /// Returns the status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }
}

impl From<RefusalResponse> for Response<Body> {
    fn from(refusal: RefusalResponse) -> Self {
        *refusal.0
    }
}

/// Returns the answer to a rejected request, as `Rejection` is answered by a handler of axum.
impl<E> From<E> for RefusalResponse
where
    Rejection: From<E>,
{
    fn from(error: E) -> Self {
        let mut response = answer::refusal(Refusal::of(error.into(), &Challenge::default()));
        headers::add_common_headers(&mut response, None);
        Self(Box::new(response))
    }
}

/// Returns the response itself.
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl axum_core::response::IntoResponse for RefusalResponse {
    fn into_response(self) -> axum_core::response::Response {
        self.0.map(axum_core::body::Body::new)
    }
}

impl fmt::Debug for RefusalResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RefusalResponse").field(&self.status()).finish()
    }
}
