use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Buf;
use http::header::COOKIE;
use http::request::Parts;
use http::{Method, Request, Response};
use tower_service::Service;

use super::accepted::Accepted;
use super::body::Body;
use super::builder::EndpointBuilder;
use super::future::{ResponseContext, ResponseFuture};
use super::instruments;
use super::presence::Presence;
use super::refused::Caller;
use super::request::origin::Access;
use super::response::answer::{Answer, Work};
use super::response::headers;
use super::shared::{Dispatch, RequestAction, Shared};
use super::stats::EndpointStats;
use crate::contract::BoxSubscriber;
use crate::endpoint::publisher::Publisher;

/// Endpoint that answers every transport at one URL.
///
/// It is a tower `Service` for any body, so routers such as axum's take it as a route. [`handle`](Self::handle) and
/// [`respond`](Self::respond) answer a request from a handler of the application, which calls [`check`](Self::check)
/// first. Clones refer to the same endpoint. It
/// needs a driver: with the feature `tokio` it starts one itself, see [`driver`](Self::driver).
///
/// | request | answer |
/// |---|---|
/// | GET with `?transport=NAME` | that transport |
/// | GET with `Upgrade: websocket` on HTTP/1.1, CONNECT with `:protocol: websocket` on HTTP/2 | WebSocket |
/// | GET with `Accept: text/event-stream` | server-sent events |
/// | GET with `Accept: application/x-ndjson`, `application/ndjson` or `application/jsonl` | a stream of JSON lines with that content type |
/// | GET with `?wait=N` or `Prefer: wait=N`, N > 0 | a long poll of at most N seconds; without a cursor, of at most 1 s |
/// | any other GET | a short poll, or the first transport that is offered |
/// | POST | a message for [`Publisher::receive`]: 204, or 200 with its answer |
/// | HEAD | the head of the GET's answer, without a subscription |
/// | OPTIONS | 204 with `Allow`, and the answer to a preflight |
/// | other methods | 405 |
/// | by [`respond`](Self::respond): POST and other methods | SSE, or a stream of JSON lines by `Accept` |
///
/// A transport of the first two rows that is not offered is a 400. A transport of the other rows that is not offered is
/// skipped, so there is no 406. Of several media types the endpoint chooses the one with the greatest weight (`q=`),
/// and SSE between equal ones. A type with `q=0` is not chosen, nor is a stream if `application/json`, `application/*`
/// or `*/*` has a greater weight. A message by POST whose `Content-Encoding` is not `identity` gets 415.
///
/// The endpoint reads these parameters of the query:
///
/// | parameter | meaning |
/// |---|---|
/// | `transport` | name of the transport: see [`Transport`](crate::Transport) |
/// | `topic` | name of a topic; it may repeat |
/// | `cursor`, `lastEventId` | position to resume at |
/// | `last=N` | without a cursor: the last N events of each topic, then live ones; at most [`max_last`](EndpointBuilder::max_last) |
/// | `start=oldest` | without a cursor and `last`: all retained events, then live ones; `start=now`: live ones only, as without it |
/// | `session` | the client's name for its session, 1 to 64 visible ASCII characters: its polls form one poll session |
/// | `wait` | seconds to hold a poll |
/// | `format=object` | event objects as the data of server-sent events |
/// | `controls=off` | server-sent events without control blocks, see [`EndpointBuilder::sse_controls`] |
/// | `heartbeat=visible` | keep-alives that scripts can see |
///
/// The path and all other parameters are the application's. A query with a name or a value that is not UTF-8 is a 400.
/// An invalid cursor is never an error status: it becomes an `invalid` gap. An unreadable `last` or `start` gets live events
/// only. Both are ignored by [`subscribe_to_patterns`](crate::SubscribeRequest::subscribe_to_patterns) if a pattern has a
/// wildcard, and the publisher may choose another start.
///
/// The host and the origin are checked first, then the publisher is called; nothing is sent before it returns. A panic
/// of the publisher ends its request with 500, its WebSocket with 1011, or breaks its stream off, and affects no other
/// client. A panic of a subscriber goes to the task that reads it.
///
/// # Cursor
///
/// The client's cursor is the first of these that is present and not empty:
///
/// 1. The header `Last-Event-ID`.
/// 2. `?lastEventId=`, in any case, or `last_event_id` or `last-event-id`, as polyfills of `EventSource` and clients of
///    Mercure send it. Such a URL may still have the `?cursor=` of the first connection.
/// 3. `?cursor=`.
/// 4. `If-None-Match`: the first entity tag that is a cursor, strong or weak. An ending that a proxy added, such as
///    `-gzip` or `;br`, is ignored.
///
/// Every client receives a cursor, or a snapshot, before its first event. It resumes from the cursor, or gets the
/// snapshot again, if its connection is cut before that event. Streams begin with a hello, see [`EndpointBuilder::sse_hello`]. A long poll without a cursor is held for at
/// most 1 s, or [`EndpointBuilder::long_poll_min_wait`] if that is longer; if the source has no cursors, it is held for
/// its whole wait. Raw WebSocket frames carry no cursor, so a client loses the events between two connections unless it
/// asks for [`Subprotocol::TidingsV1`](crate::transport::websocket::Subprotocol::TidingsV1).
///
/// # End
///
/// When all topics of a client have [ended](crate::Hub::finish), its stream ends cleanly. A client that reconnects
/// receives the end again:
///
/// | transport | at the end of the last topic | a client that returns after it |
/// |---|---|---|
/// | NDJSON, `tidings.v1` | `{"id":"…","end":{"topic":"…","reason":"done"}}`, then the end of the body, or a close with 1000 | hello and `{"id":"…","end":{}}`, then the same |
/// | SSE | a block `event: tidings.end` with `retry: 86400000` (a day), then the end of the body | 204 if its cursor is in `Last-Event-ID`, else the greeting and the block `tidings.end`, then the end of the body |
/// | short and long poll | the object in `events`, `"end":true`, and `Tidings-Retry-Ms: 86400000` | `"end":true`, never 304; a long poll without events is held for 1 s |
/// | raw WebSocket | a close with 1000, `finished` | a close with 1000; the history only with `?session=`, a cursor, `?last=` or `?start=` |
///
/// An `EventSource` that has seen the block `tidings.end` waits for a day and then sends its id, and 204 ends it for good. A
/// page that connects with a stored cursor in its query has not seen the block. Many clients would retry after a 204, so it
/// gets the block. `?controls=off` has no such block, so the answer is 204 to both.
///
/// A client that ignores the end may return at once. A client that comes after the end therefore waits for 1 s, whatever its
/// cursor:
///
/// - A long poll whose reply has no events is held for 1 s, or [`long_poll_min_wait`](EndpointBuilder::long_poll_min_wait) if
///   that is longer, and never longer than its wait. A reply with events is not delayed.
/// - A stream of NDJSON is sent at once, and its body ends 1 s after its begin. With the reserved cursor, see below, the whole
///   answer comes after 1 s.
/// - A WebSocket gets everything at once, and the close 1 s later. Its messages in that second are ignored.
///
/// A drain ends the wait. A client that was connected at the end is not delayed. Short polls and server-sent events are not
/// delayed, because their answers have the time to return, a day.
///
/// The 204 and all other answers are sent after the publisher has accepted the client. The exception is a client of a source
/// without cursors that has ended, such as a finite [`from_stream`](crate::subscriber::from_stream): its reserved cursor is
/// answered after the checks of host and origin, and the source is not started again. A client of SSE
/// that has everything, and a request with the reserved cursor, is no session. A long poll, a stream of NDJSON and a WebSocket
/// with the reserved cursor are held for 1 s, as many at once as [soft rejects](EndpointBuilder::max_soft_rejects).
///
/// A client that must retry later gets 503 with `{"error":"…","cursor":"…"}`. `cursor` repeats the client's, and is
/// absent if it sent none. A GET of an `EventSource` gets a soft reject, see [`EndpointBuilder::max_soft_rejects`].
///
/// # Test your endpoint
///
/// A test needs no socket: [`handle`](Self::handle) takes an `http::Request` and returns the response, whose body is
/// read with the crate `http-body-util`. The request needs a `Host` header, as every HTTP/1.1 request does. Headers and
/// extensions that a layer or a proxy sets, such as the user, are set on the request. `axum::http` is the crate `http`.
///
/// A malformed cursor (`?cursor=lost`) makes a gap, and so [`Publisher::snapshot`] is called. A hub with
/// `Retention::count(1)` makes one after two events. A POST of text needs a `Content-Type`, see [`Message`](crate::Message).
///
/// A WebSocket needs a connection: `handle` answers its handshake with 500 if the request has none to upgrade. Test
/// [`Publisher::receive`] by POST, or serve the endpoint on a loopback socket.
///
/// ```
/// use http::{Request, StatusCode, header::ETAG};
/// use http_body_util::BodyExt;
/// use tidings::{Endpoint, LocalHub, Rejection};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = LocalHub::new();
/// let events = Endpoint::from_fn(&hub, async |request| {
///     request.header("x-user").ok_or(Rejection::Unauthorized)?;
///     Ok(request.subscribe_to(["news"]))
/// });
///
/// // A request without a user is refused.
/// let poll = || Request::get("/events?transport=short-poll").header("host", "localhost");
/// let response = events.handle(poll().body(String::new())?).await;
/// assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
///
/// // The first poll returns a cursor. The next one, with that cursor, returns the event.
/// let response = events.handle(poll().header("x-user", "ann").body(String::new())?).await;
/// let cursor = response.headers()[ETAG].clone();
/// hub.publish_now("news", "it rains")?;
/// let request = poll().header("x-user", "ann").header("if-none-match", cursor).body(String::new())?;
/// let reply = events.handle(request).await.into_body().collect().await?.to_bytes();
/// let reply: serde_json::Value = serde_json::from_slice(&reply)?;
/// assert_eq!(reply["events"][0]["data"], "it rains");
///
/// // A stream is read frame by frame. Dropping its body ends the session.
/// let request = poll().uri("/events?transport=sse").header("x-user", "ann").body(String::new())?;
/// let mut stream = events.handle(request).await.into_body();
/// let hello = stream.frame().await.ok_or("no frame")??.into_data().map_err(|_| "no data")?;
/// assert!(std::str::from_utf8(&hello)?.contains("event: tidings.hello\n"));
/// assert_eq!(events.session_count(), 1);
/// drop(stream);
/// assert_eq!(events.session_count(), 0);
/// # Ok(())
/// # }
/// ```
///
/// Under tokio's paused clock (feature `test-util` of tokio) holds, keep-alives and timeouts pass at once, because the
/// clock advances whenever every task waits:
///
/// ```
/// use std::time::Duration;
/// use http::{Request, header::ETAG};
/// use tidings::{Endpoint, LocalHub};
/// use tokio::time::Instant;
///
/// // In a test: #[tokio::test(start_paused = true)]
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let events = Endpoint::public(&LocalHub::new(), ["news"]);
/// let get = |uri: &str| Request::get(uri).header("host", "localhost");
/// let cursor = events.handle(get("/?wait=0").body(String::new())?).await.headers()[ETAG].clone();
///
/// let begin = Instant::now();
/// let response = events.handle(get("/?wait=20").header("if-none-match", cursor).body(String::new())?).await;
/// assert_eq!(response.status(), 304); // no event came
/// assert!(begin.elapsed() > Duration::from_secs(17) && begin.elapsed() < Duration::from_secs(21));
/// # Ok(())
/// # }
/// ```
///
/// # Under tower layers and in a nested router
///
/// - **`TimeoutLayer`** limits the time to the head of an answer. A long poll has its head only when it is answered, so
///   a layer with a shorter time than the hold cuts each of them off with 408 or 504. No event is lost, because the
///   client still has its cursor. Set [`long_poll_timeout`](EndpointBuilder::long_poll_timeout) and
///   [`max_long_poll_timeout`](EndpointBuilder::max_long_poll_timeout) below the layer's time. A hold can be a tenth
///   longer than `long_poll_timeout`, so leave that room. Streams and WebSockets have their heads at once, and may
///   last.
/// - **`CompressionLayer`** does not compress SSE, by its default predicate. It compresses replies of polls, whose tags
///   stay valid cursors. It also compresses chunked streams, because it ignores their `Cache-Control: no-transform`.
///   Current versions flush each piece, so no event is delayed; old ones may wait for more. Each compressed stream
///   costs memory for its compressor, and the length of a compressed text can reveal a secret beside a text that an
///   attacker chooses (BREACH). Exclude chunked streams:
///   `CompressionLayer::new().compress_when(DefaultPredicate::new().and(NotForContentType::const_new("application/x-ndjson")))`,
///   and the same for the other names.
/// - **`CorsLayer`** only adds headers: the endpoint still refuses a page of an origin that is not allowed with 403.
///   Use [`allow_origin`](EndpointBuilder::allow_origin), [`allow_any_origin`](EndpointBuilder::allow_any_origin) and
///   [`allow_request_header`](EndpointBuilder::allow_request_header) in its place, and put the layer around other
///   routes. Around the endpoint its headers replace those of the endpoint, so none is duplicated. It then answers all
///   OPTIONS requests itself, so the list of request headers is the layer's.
/// - **`Router::nest`** works as with any service: the publisher reads the path without the prefix, and the whole
///   query.
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
}

impl Endpoint {
    /// Returns an endpoint with the default settings.
    ///
    /// ```
    /// use tidings::{Endpoint, LocalHub, SubscribeRequest};
    ///
    /// let hub = LocalHub::new();
    /// let events = Endpoint::new(move |request: SubscribeRequest| {
    ///     let subscription = hub.subscribe(request.subscribe_to(["news"]));
    ///     async { Ok(subscription?) }
    /// });
    /// ```
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

    /// Answers a request, as the tower `Service` does.
    ///
    /// The future may be dropped at any time. No event is lost, because the client still has its cursor.
    ///
    /// ```
    /// use tidings::{Body, Endpoint};
    ///
    /// /// Answers a route of a server that has no router.
    /// async fn route(events: &Endpoint, request: http::Request<String>) -> http::Response<Body> {
    ///     events.handle(request).await
    /// }
    /// ```
    pub fn handle<B>(&self, request: Request<B>) -> impl Future<Output = Response<Body>> + Send + 'static + use<B>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Buf,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        infallible(self.begin(parts, body, None))
    }

    /// Returns the driver, a future that advances the endpoint's timers: keep-alives, timeouts, drains.
    ///
    /// With the feature `tokio` the endpoint spawns the driver itself, at the first request inside a runtime. Without
    /// it, pass a [`Timer`](crate::time::Timer) to the builder and run this future beside the server. Until then
    /// requests get 500 with a text that names the missing part. The future ends when the endpoint and its last session
    /// are gone, and at once if another driver runs.
    ///
    /// Several runtimes may serve one endpoint; the driver runs in the first. If it is dropped, because its runtime
    /// ends or its task is aborted, the sessions of the other runtimes start another at once. If there is no session,
    /// the next request starts one. A driver whose timer panics is replaced in the same way, unless the timer panics in
    /// the driver's first poll. A runtime that exists but is not run keeps its driver: drop it.
    ///
    /// ```
    /// use tidings::time::Timer;
    /// use tidings::{Endpoint, Publisher};
    ///
    /// /// Serves an endpoint on a runtime other than tokio.
    /// fn serve(publisher: impl Publisher, timer: impl Timer, spawn: fn(std::pin::Pin<Box<dyn Future<Output = ()> + Send>>)) {
    ///     let events = Endpoint::builder(publisher).timer(timer).spawn(spawn).build();
    ///     spawn(Box::pin(events.driver()));
    ///     // … and a server that calls `events.handle(request)`
    /// }
    /// ```
    pub fn driver(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let driver = self.shared.runtime.driver();
        async move {
            if let Some(driver) = driver {
                driver.await;
            }
        }
    }

    /// Returns the counts of sessions, refusals and bytes since the endpoint was built.
    #[must_use]
    pub fn stats(&self) -> EndpointStats {
        let presence = self.shared.presence.as_ref().map(Presence::counts).unwrap_or_default();
        self.shared.counters.read(self.shared.sessions.counts(), self.shared.soft_rejects.counts(), presence)
    }

    /// Begins to answer a request. Without a subscriber of the application the publisher is asked.
    pub(crate) fn begin<B>(
        &self,
        mut parts: Parts,
        body: B,
        accepted: Option<Box<Accepted<BoxSubscriber>>>,
    ) -> ResponseFuture
    where
        B: http_body::Body + Send + 'static,
        B::Data: Buf,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let Dispatch { action, origin, access } = self.shared.dispatch(&parts, accepted.is_some());
        if access == Access::Anonymous {
            parts.headers.remove(COOKIE);
        }
        let shared = self.shared.clone();
        let (version, stream, is_get) = (parts.version, action.stream(), parts.method == Method::GET);
        let shows_caller = shared.hook.is_some() || instruments::shows_refusals();
        let caller = shows_caller.then(|| Caller::of(&parts, stream.map(|(transport, _)| transport)).into());
        let work: Work = match action {
            RequestAction::Respond(mut response) => {
                headers::add_common_headers(&mut response, origin.as_ref());
                return ResponseFuture::ready(response);
            }
            RequestAction::Subscribe(params) => shared.subscribe(parts, params, accepted),
            RequestAction::Receive(posted) => {
                Box::pin(async move { shared.receive(parts, body, posted).await.map(Answer::Now) })
            }
        };
        ResponseFuture::working(
            work,
            ResponseContext { shared: self.shared.clone(), origin, version, stream, is_get, caller },
        )
    }
}

pub(crate) fn infallible(mut future: ResponseFuture) -> impl Future<Output = Response<Body>> + Send + 'static {
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

    /// Returns ready. A request above a limit is answered with 503.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        let (parts, body) = request.into_parts();
        self.begin(parts, body, None)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
