use std::future::Future;

use http::request::Parts;
use http::{Request, Response};

use super::accepted::IntoAccepted;
use super::body::Body;
use super::service::{Endpoint, infallible};

impl Endpoint {
    /// Answers a request of any method with a subscriber, or an [`Accepted`](crate::Accepted), that a handler of the
    /// application made. [`Publisher::subscribe`](crate::Publisher::subscribe) is not called. Gaps still go to
    /// [`Publisher::snapshot`](crate::Publisher::snapshot), and messages of a WebSocket to
    /// [`Publisher::receive`](crate::Publisher::receive).
    ///
    /// | method | answer |
    /// |---|---|
    /// | GET, and CONNECT for a WebSocket | the transport that [`handle`](Self::handle) chooses |
    /// | HEAD, OPTIONS | as by [`handle`](Self::handle); the subscriber is dropped |
    /// | POST and others | SSE, or NDJSON if `Accept` prefers it or `?transport=chunked` names it |
    ///
    /// A POST has its cursor in the headers and the query, as a GET. These are a 400 for other methods than GET: a
    /// `?transport=` that is no stream, a wait (`?wait=` or `Prefer: wait`), and a WebSocket handshake. A client that must
    /// retry later gets 503 with `Retry-After` and never a soft reject, which is for an `EventSource`, and an
    /// `EventSource` only sends GETs. An endpoint that offers neither SSE nor NDJSON answers 500.
    ///
    /// The first argument is an `http::Request` or its head, `http::request::Parts`. The endpoint does not read the body
    /// of the request. A body that is passed with the request is dropped, so read it before, such as with an extractor
    /// of axum. On HTTP/1 a server may close the connection after the answer if the body was not read. An upgrade needs
    /// the extensions of the request, which `Parts` have.
    ///
    /// Hosts and origins are checked as by `handle`. Call [`check`](Self::check) before a handler has effects: otherwise a
    /// request that is refused, such as that of a page of another site, starts them. A preflight allows the methods GET, HEAD and POST.
    ///
    /// The future may be dropped at any time. It then drops the subscriber, and a client that has a cursor resumes there.
    ///
    /// An application that answers every request this way needs no publisher: pass `()` to [`new`](Self::new) or
    /// [`builder`](Self::builder).
    ///
    /// ```
    /// use axum::extract::{Path, State};
    /// use http::{Response, request::Parts};
    /// use tidings::endpoint::RefusalResponse;
    /// use tidings::{Body, Endpoint, LocalHub, SubscribeRequest, Topic};
    ///
    /// #[derive(Clone)]
    /// struct App {
    ///     hub: LocalHub,
    ///     events: Endpoint, // Endpoint::new(())
    /// }
    ///
    /// /// Answers `/rooms/{room}/events` on each transport.
    /// async fn room(
    ///     State(app): State<App>,
    ///     Path(room): Path<String>,
    ///     parts: Parts,
    /// ) -> Result<Response<Body>, RefusalResponse> {
    ///     app.events.check(&parts)?;
    ///     let topic = Topic::from_segments(["rooms", &room])?;
    ///     let subscription = app.hub.subscribe(SubscribeRequest::read(&parts)?.subscribe_to([topic]))?;
    ///     Ok(app.events.respond(parts, subscription).await)
    /// }
    /// ```
    ///
    /// [`check`](Self::check) has an example of a POST.
    pub fn respond(
        &self,
        request: impl IntoParts,
        accepted: impl IntoAccepted,
    ) -> impl Future<Output = Response<Body>> + Send + 'static {
        let accepted = Box::new(accepted.into_accepted().boxed());
        infallible(self.begin(request.into_parts(), Body::empty(), Some(accepted)))
    }
}

/// `http::Request` with any body, or its head, `http::request::Parts`: the first argument of
/// [`Endpoint::respond`](crate::Endpoint::respond).
pub trait IntoParts: sealed::SealedRequest {
    /// Returns the head. A body is dropped.
    #[doc(hidden)]
    fn into_parts(self) -> Parts;
}

impl IntoParts for Parts {
    fn into_parts(self) -> Parts {
        self
    }
}

impl<B> IntoParts for Request<B> {
    fn into_parts(self) -> Parts {
        Self::into_parts(self).0
    }
}

mod sealed {
    use super::{Parts, Request};

    #[expect(unnameable_types, reason = "seals the trait")]
    pub trait SealedRequest {}

    impl SealedRequest for Parts {}
    impl<B> SealedRequest for Request<B> {}
}
