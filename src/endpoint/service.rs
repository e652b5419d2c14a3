use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Buf;
use http::header::COOKIE;
use http::{Request, Response};
use tower_service::Service;

use super::body::Body;
use super::builder::EndpointBuilder;
use super::reject::refused::Caller;
use super::request::origin::Access;
use super::response::future::{Answer, Finish, ResponseFuture, Work};
use super::response::headers;
use super::shared::{Ask, Front, Shared};
use super::stats::EndpointStats;
use crate::contract::BoxSubscriber;
use crate::endpoint::publisher::{Accepted, IntoAccepted, Publisher};

/// Endpoint of every transport at one URL: a tower `Service`, which is also called by [`handle`](Self::handle).
///
/// | the request | the answer |
/// |---|---|
/// | GET with `?transport=` of a name | that transport |
/// | GET with `Upgrade: websocket` on HTTP/1.1, CONNECT with `:protocol: websocket` on HTTP/2 | WebSocket |
/// | GET with `Accept: text/event-stream` | server-sent events |
/// | GET with `Accept: application/x-ndjson`, `application/ndjson` or `application/jsonl` | a stream of JSON lines, under the name that was asked for |
/// | GET with `?wait=N` or `Prefer: wait=N`, N > 0 | a long poll; without a cursor it is held for at most 1 s |
/// | any other GET | a short poll, or the first transport that is there |
/// | POST | a message for [`Publisher::receive`]: 204, or 200 with its answer |
/// | HEAD, OPTIONS, others | the GET's head, 204, 405: without a subscription |
///
/// A request that demands a transport (the first two rows) which is not offered gets 400. A preferred transport that is not
/// offered is passed over. Of several media types the one with the greatest weight (`q=`) is chosen, SSE if the weights are
/// equal. A type with `q=0` is not chosen, and a stream is not chosen if `application/json`, `application/*` or `*/*` has a
/// greater weight. There is no 406. A POST whose `Content-Encoding` is not `identity` gets 415.
///
/// `?topic=` names topics and may repeat. `?session=` is the client's own name for its session, 1 to 64 visible ASCII
/// characters: polls with one name are one run. The parameters `transport`, `topic`, `cursor`, `lastEventId`, `session`,
/// `wait`, `format` and `heartbeat` belong to the endpoint; the path and all other parameters belong to the application. A
/// query with a name or a value that is not UTF-8 gets 400, except that a cursor is never an error.
///
/// The cursor is the first of these that is present and not empty. One that can't be read becomes an `invalid` gap.
///
/// 1. The header `Last-Event-ID`.
/// 2. `?lastEventId=`, in any case, also written `last_event_id` or `last-event-id`, as polyfills of `EventSource` and clients
///    of Mercure send it. Such a URL may still have the `?cursor=` of the first connection.
/// 3. `?cursor=`.
/// 4. `If-None-Match`: the first entity tag that is a cursor, strong or weak. An ending that a proxy added, such as `-gzip`
///    or `;br`, is ignored.
///
/// Every client receives a cursor before its first event. If its connection is cut before that event, it resumes from the
/// cursor. Streams begin with a hello, see [`EndpointBuilder::sse_hello`]. A long poll without a cursor is held for at most
/// 1 s, or [`EndpointBuilder::long_poll_min_wait`] if that is longer; if its source has no cursors, for its whole wait. Raw
/// WebSocket frames carry no cursor: a client misses the events that are published between two connections, unless it asks for
/// [`Subprotocol::TidingsV1`](crate::transport::websocket::Subprotocol::TidingsV1).
///
/// A client that must retry later gets 503 with `{"error":"…","cursor":"…"}`. `cursor` is the one that the client sent, and
/// is absent if it sent none. An `EventSource` gets a soft reject, see [`EndpointBuilder::max_soft_rejects`].
///
/// Host and Origin are checked first. Then the publisher is asked, and nothing is sent before it has answered. A panic
/// of the publisher ends only its request or its WebSocket, with 500 or 1011, or breaks its stream off. A panic of a
/// subscriber goes to the task that reads it.
///
/// Clones are handles of one endpoint. An endpoint needs a driver, see [`driver`](Self::driver).
///
/// # Under tower layers and in a nested router
///
/// - **`TimeoutLayer`** limits the time to an answer's head. A long poll has its head only when it is answered, so a layer
///   with a shorter time ends each of them with 408 or 504. No event is lost, because the client still has its cursor. Set
///   [`long_poll_timeout`](EndpointBuilder::long_poll_timeout) and
///   [`max_long_poll_timeout`](EndpointBuilder::max_long_poll_timeout) below the layer's time. A poll that asks for no wait
///   is held up to a tenth longer than the default, so leave room for that. Streams and WebSockets have their heads at once,
///   so the layer does not limit them.
/// - **`CompressionLayer`** leaves SSE alone by its default predicate. It compresses replies of polls, whose tags stay valid
///   cursors, and chunked streams, since it does not look at their `Cache-Control: no-transform`. Current versions flush
///   each piece, so that no event is held back; old versions may wait for more. Each compressed stream costs memory for its
///   compressor, and a text that an attacker chooses beside a secret can reveal the secret by its length (BREACH). Leave
///   chunked streams out: `CompressionLayer::new().compress_when(DefaultPredicate::new().and(NotForContentType::const_new("application/x-ndjson")))`,
///   and the same for the other names.
/// - **`CorsLayer`** only adds headers: the endpoint still refuses a page of an origin that is not allowed with 403. Use
///   [`allow_origin`](EndpointBuilder::allow_origin), [`allow_any_origin`](EndpointBuilder::allow_any_origin) and
///   [`allow_request_header`](EndpointBuilder::allow_request_header) in its place, and put the layer around other routes. A
///   layer around the endpoint replaces the endpoint's headers, so that none is there twice. It answers all OPTIONS requests
///   itself, so the list of request headers is then the layer's.
/// - **`Router::nest`** works as with any service: the publisher reads the path without the prefix, and the whole query.
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
}

impl Endpoint {
    /// Returns an endpoint with the defaults.
    ///
    /// # Panics
    ///
    /// Panics if the crate's features are not enough for an endpoint, see [`EndpointBuilder::build`].
    pub fn new(publisher: impl Publisher) -> Self {
        Self::builder(publisher).build()
    }

    /// Returns a builder.
    pub fn builder(publisher: impl Publisher) -> EndpointBuilder {
        EndpointBuilder::new(Box::new(publisher))
    }

    pub(crate) fn of(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Answers a request.
    ///
    /// The future may be dropped at any time. A dropped poll loses nothing, because its client still has its cursor.
    pub fn handle<B>(&self, request: Request<B>) -> impl Future<Output = Response<Body>> + Send + 'static + use<B>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Buf,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        certain(self.begin(request, None))
    }

    /// Answers a request with a subscriber, or an [`Accepted`], that the application has made in a handler of its own. The
    /// publisher is not asked to subscribe; the rest is as in [`handle`](Self::handle).
    ///
    /// Messages from the client still go to the publisher's [`receive`](Publisher::receive), and gaps to its
    /// [`snapshot`](Publisher::snapshot). If a request needs no subscriber (HEAD, a foreign origin), the given one is
    /// dropped.
    ///
    /// An application that answers every request this way has no publisher: `()` stands in its place, for
    /// [`new`](Self::new) and [`builder`](Self::builder).
    ///
    /// ```
    /// use tidings::{Body, Endpoint, LocalHub, Rejection, SubscribeRequest};
    ///
    /// struct App {
    ///     hub: LocalHub,
    ///     events: Endpoint,
    /// }
    ///
    /// impl App {
    ///     fn new() -> Self {
    ///         Self { hub: LocalHub::new(), events: Endpoint::new(()) }
    ///     }
    ///
    ///     /// Answers `GET /rooms/{room}/events`.
    ///     async fn room(&self, room: &str, request: http::Request<String>) -> Result<http::Response<Body>, Rejection> {
    ///         let (head, body) = request.into_parts();
    ///         let topic = tidings::Topic::from_segments(["rooms", room])?;
    ///         let subscription = self.hub.subscribe(SubscribeRequest::read(&head)?.subscribe_to([topic]))?;
    ///         Ok(self.events.respond(http::Request::from_parts(head, body), subscription).await)
    ///     }
    /// }
    /// ```
    pub fn respond<B>(
        &self,
        request: Request<B>,
        accepted: impl IntoAccepted,
    ) -> impl Future<Output = Response<Body>> + Send + 'static
    where
        B: http_body::Body + Send + 'static,
        B::Data: Buf,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        certain(self.begin(request, Some(accepted.into_accepted().boxed())))
    }

    /// Returns the future that keeps the endpoint's time: heartbeats, deadlines, stalls, drains.
    ///
    /// With the feature `tokio` the endpoint starts it, as a task, at the first request inside a runtime. Without that
    /// feature the application gives the builder a [`Timer`](crate::time::Timer) and runs this future beside its server;
    /// until this is called, requests get 500 and an error that says so. The future ends when the endpoint and its last
    /// session are gone, and at once if there is a driver already.
    ///
    /// Several runtimes may serve one endpoint: the driver runs in the first. When it is dropped, because its runtime ends
    /// or its task is aborted, the sessions of the other runtimes start another at once; if there is none, the next request
    /// does. A driver whose timer panics is followed by another in the same way, unless it panicked in its first poll. A
    /// runtime that exists but is not run keeps the driver, so drop it.
    pub fn driver(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let driver = self.shared.runtime.driver();
        async move {
            if let Some(driver) = driver {
                driver.await;
            }
        }
    }

    /// Returns counts of everything that the endpoint has done.
    #[must_use]
    pub fn stats(&self) -> EndpointStats {
        self.shared.counters.read(self.shared.sessions.counts(), self.shared.rejects.counts())
    }

    fn begin<B>(&self, request: Request<B>, given: Option<Accepted<BoxSubscriber>>) -> ResponseFuture
    where
        B: http_body::Body + Send + 'static,
        B::Data: Buf,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (mut parts, body) = request.into_parts();
        let Front { ask, origin, access } = self.shared.front(&parts);
        if access == Access::Anonymous {
            parts.headers.remove(COOKIE);
        }
        let shared = self.shared.clone();
        let (version, stream) = (parts.version, ask.stream());
        let caller = shared.hook.as_ref().map(|_| Caller::of(&parts, stream.map(|(transport, _)| transport)).into());
        let work: Work = match ask {
            Ask::Done(mut response) => {
                headers::add_common_headers(&mut response, origin.as_ref());
                return ResponseFuture::ready(response);
            }
            Ask::Subscribe(wanted) => shared.attach(parts, wanted, given),
            Ask::Receive(posted) => Box::pin(async move { shared.receive(parts, body, posted).await.map(Answer::Now) }),
        };
        ResponseFuture::working(work, Finish { shared: self.shared.clone(), origin, version, stream, caller })
    }
}

fn certain(mut future: ResponseFuture) -> impl Future<Output = Response<Body>> + Send + 'static {
    poll_fn(move |cx| future.poll_response(cx))
}

impl<B> Service<Request<B>> for Endpoint
where
    B: http_body::Body + Send + 'static,
    B::Data: Buf,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    /// Always ready: a request for which there is no place is answered so.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        self.begin(request, None)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
