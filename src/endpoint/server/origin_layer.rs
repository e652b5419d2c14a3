use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::endpoint::refused::Refused;
use crate::endpoint::reject::RefusalCause;
use crate::endpoint::request::head::RequestHead;
use crate::endpoint::response::answer;
use crate::endpoint::response::headers;
use crate::endpoint::service::Endpoint;
use crate::endpoint::shared::Shared;

impl Endpoint {
    /// Returns a tower layer that applies the endpoint's rules for origins and hosts to the application's own routes.
    ///
    /// For a handler that answers by [`respond`](Self::respond) use [`check`](Self::check), which also refuses GETs of
    /// foreign pages and sends CORS headers.
    ///
    /// A browser sends the user's cookies with a form that a page of another site posts, so a route with effects needs
    /// a check of the origin. The layer refuses these requests; the body is `{"error":"…"}` and names the origin and
    /// the host:
    ///
    /// | request | status |
    /// |---|---|
    /// | other methods than GET, HEAD and OPTIONS, or a WebSocket handshake, with a foreign `Origin`, or a `Sec-Fetch-Site` of another site | 403 |
    /// | host that is not among the [`allowed_hosts`](crate::EndpointBuilder::allowed_hosts) | 421 |
    /// | host that is missing or malformed (RFC 9112 §3.2) | 400 |
    ///
    /// Links from other sites work, since they are GETs. A program that is not a browser sends no `Origin`, and passes
    /// unless [`allow_absent_origin`](crate::EndpointBuilder::allow_absent_origin) is `false`.
    ///
    /// [`allow_origin`](crate::EndpointBuilder::allow_origin) allows origins, as for the endpoint. The layer sends no
    /// CORS headers: an allowed page can post to the route, but can read the answer only if the application allows
    /// that. Refusals are counted as [`EndpointStats::refused_origin`](crate::stats::EndpointStats::refused_origin).
    ///
    /// ```
    /// use axum::{Router, routing::post};
    ///
    /// fn app(events: tidings::Endpoint) -> Router {
    ///     Router::new()
    ///         .route("/say", post(|text: String| async move { text }))
    ///         .layer(events.origin_layer()) // the routes above
    ///         .route_service("/events", events) // checks by itself
    /// }
    /// ```
    #[must_use]
    pub fn origin_layer(&self) -> OriginLayer {
        OriginLayer(self.shared().clone())
    }
}

/// Layer that [`Endpoint::origin_layer`] returns. It keeps the endpoint alive, as a clone of the endpoint does.
#[derive(Clone)]
pub struct OriginLayer(Arc<Shared>);

/// Service of an [`OriginLayer`]. Its responses have the body type of the inner service, which must be `From<Bytes>`,
/// such as axum's body or `http_body_util::Full<Bytes>`.
#[derive(Clone)]
pub struct OriginService<S> {
    shared: Arc<Shared>,
    inner: S,
}

pin_project! {
    /// Future of an [`OriginService`].
    pub struct OriginFuture<F, B> {
        #[pin]
        state: State<F>,
        body: PhantomData<fn() -> B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Passed {
            #[pin]
            answer: F,
        },
        Refused {
            refusal: Option<Response<Bytes>>,
        },
    }
}

impl<S> Layer<S> for OriginLayer {
    type Service = OriginService<S>;

    fn layer(&self, inner: S) -> OriginService<S> {
        OriginService { shared: self.0.clone(), inner }
    }
}

impl<S, Q, B> Service<Request<Q>> for OriginService<S>
where
    S: Service<Request<Q>, Response = Response<B>>,
    B: From<Bytes>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = OriginFuture<S::Future, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let state = match self.shared.config.origins.check_route(&parts, &RequestHead::of(&parts)) {
            Ok(()) => State::Passed { answer: self.inner.call(Request::from_parts(parts, body)) },
            Err(refusal) => {
                let refused = Refused::new(RefusalCause::Origin, refusal.log_text());
                self.shared.report_refusal(&refused.of_parts(&parts).status_is(refusal.status));
                let mut refusal = answer::text(refusal, None);
                headers::add_common_headers(&mut refusal, None);
                State::Refused { refusal: Some(refusal) }
            }
        };
        OriginFuture { state, body: PhantomData }
    }
}

impl<F, B, E> Future for OriginFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: From<Bytes>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().state.project() {
            StateProjection::Passed { answer } => answer.poll(cx),
            StateProjection::Refused { refusal } => match refusal.take() {
                Some(refusal) => Poll::Ready(Ok(refusal.map(B::from))),
                // `None` if it is polled after its end.
                None => Poll::Pending,
            },
        }
    }
}

impl fmt::Debug for OriginLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginLayer").finish_non_exhaustive()
    }
}

impl<S: fmt::Debug> fmt::Debug for OriginService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<F, B> fmt::Debug for OriginFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginFuture").finish_non_exhaustive()
    }
}
