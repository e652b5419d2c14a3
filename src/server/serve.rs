use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::{Future, IntoFuture, Pending, pending};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tower_service::Service;

use super::accept;
use super::hosts::HostRule;
use super::limits::Limits;

/// Serves an application to all clients of a listener, over HTTP/1 and HTTP/2 without TLS.
///
/// The application is an [`axum::Router`](https://docs.rs/axum), an [`Endpoint`](crate::Endpoint) or another tower
/// service. Awaiting the returned [`Serve`] runs the server; its methods set limits before.
///
/// On a loopback address only requests to `localhost`, `127.0.0.1` and `[::1]`, with any port, reach the application. A
/// request to another host gets 421 (RFC 9110 §15.5.20): a foreign page can bind a name of its own to the loopback
/// address, and is of the same origin then (DNS rebinding). See [`Serve::allow_host`] and [`Serve::allow_any_host`] for
/// a server behind a proxy.
///
/// Bodies of requests have no deadline and no limit here, since they are the application's to read. The endpoint has
/// its own for messages.
///
/// ```no_run
/// use axum::{Router, routing::get};
/// use tidings::server::serve;
///
/// # async fn run() -> std::io::Result<()> {
/// let app = Router::new().route("/", get(|| async { "hello" }));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// serve(listener, app).await
/// # }
/// ```
pub fn serve<S>(listener: TcpListener, app: S) -> Serve<S> {
    Serve { listener, app, limits: Limits::default(), hosts: HostRule::default(), signal: pending() }
}

/// Server that [`serve`] returns. Runs when it is awaited.
///
/// | limit | default | set by | reason |
/// |---|---|---|---|
/// | time for a request's head | 10 s | [`head_timeout`](Self::head_timeout) | a slow modem sends a head in 1 s |
/// | idle time of an HTTP/1 connection between two requests | 75 s | [`idle_timeout`](Self::idle_timeout) | above the 60 s for which proxies keep a connection, so that the proxy closes it first |
/// | size of an HTTP/1 head | 32 KiB | [`max_request_head`](Self::max_request_head) | twice of what the endpoint accepts; 500 unfinished heads take 16 MiB |
/// | connections | 120,000 | [`max_connections`](Self::max_connections) | more than the endpoint's 100,000 sessions, so that further clients still get its 503 |
/// | time for a shutdown | 10 s | [`shutdown_timeout`](Self::shutdown_timeout) | with a drain of 10 s before, below the 30 s after which orchestrators kill |
/// | streams of an HTTP/2 connection | 200 | [`max_concurrent_streams`](Self::max_concurrent_streams) | a browser uses up to 100 |
/// | stalled streams of an HTTP/2 connection | 4 | [`max_stalled_streams`](Self::max_stalled_streams) | a page may leave a few unread; hyper keeps 3 to 8 KiB for each |
/// | size of an HTTP/2 header list | 16 KiB | [`max_header_list_size`](Self::max_header_list_size) | what the endpoint accepts |
/// | bytes buffered for an HTTP/2 stream | 64 KiB | [`max_send_buf_size`](Self::max_send_buf_size) | one batch of events; it is held for each stream that takes nothing |
/// | silence of an HTTP/2 connection until a ping | 20 s | [`http2_keep_alive`](Self::http2_keep_alive) | below the 60 s after which proxies end a connection |
/// | time for the answer to it | 10 s | [`http2_keep_alive`](Self::http2_keep_alive) | tolerates brief mobile outages |
///
/// Fixed: `TCP_NODELAY`, a `TCP_USER_TIMEOUT` of 30 s and a `TCP_NOTSENT_LOWAT` of 64 KiB, see [`set_tcp_options`](crate::server::set_tcp_options).
#[must_use = "a server does nothing until it is awaited"]
pub struct Serve<S, F = Pending<()>> {
    listener: TcpListener,
    app: S,
    limits: Limits,
    hosts: HostRule,
    signal: F,
}

impl<S, F> Serve<S, F> {
    /// Stops accepting connections when `signal` is ready, and waits for those that are open.
    ///
    /// Each closes when the requests that have begun are answered. An idle one closes at once, one with half a request's
    /// head after the [`head_timeout`](Self::head_timeout). [`Endpoint::drain_on`](crate::Endpoint::drain_on) is the signal for an application with an
    /// endpoint: streams and WebSockets never end by themselves. What is open after the
    /// [`shutdown_timeout`](Self::shutdown_timeout) is aborted.
    ///
    /// ```no_run
    /// # async fn run(listener: tokio::net::TcpListener, app: axum::Router, events: tidings::Endpoint) -> std::io::Result<()> {
    /// tidings::server::serve(listener, app)
    ///     .with_graceful_shutdown(events.drain_on(tokio::signal::ctrl_c()))
    ///     .await
    /// # }
    /// ```
    pub fn with_graceful_shutdown<G>(self, signal: G) -> Serve<S, G>
    where
        G: Future<Output = ()> + Send + 'static,
    {
        let Self { listener, app, limits, hosts, .. } = self;
        Serve { listener, app, limits, hosts, signal }
    }

    /// Returns the address that the server listens on.
    ///
    /// # Errors
    ///
    /// The operating system's error.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Sets how long a client may take for a request's head. Default: 10 s.
    ///
    /// The connection is closed then, without an answer. The time begins with the connection, and for a further request on
    /// it with the first byte. A client whose first byte comes late has this time for it, and again for the rest. A head
    /// that begins before the previous answer has ended (pipelining) has the [`idle_timeout`](Self::idle_timeout)
    /// instead, from the end of that answer on.
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.limits.head_timeout = timeout;
        self
    }

    /// Sets how long an HTTP/1 connection may be idle between two requests. Default: 75 s.
    ///
    /// The connection is closed then. A proxy keeps connections to reuse them, nginx and others for 60 s: if the server
    /// closed them sooner, the proxy would at times send a request on a connection that is just being closed, and answer
    /// 502. An HTTP/2 connection stays open while it answers pings.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.limits.idle_timeout = timeout;
        self
    }

    /// Sets the largest head of an HTTP/1 request, in bytes, at least 8 KiB. Default: 32 KiB.
    ///
    /// A head that is not complete when so many bytes have arrived gets 431 (RFC 6585 §5), and its connection is closed.
    /// One of up to twice the size is accepted if it arrives at once, in a single read. This is the size of the buffer
    /// that a connection reads into, and also the number of bytes of a response that are gathered before they are
    /// written; a larger piece of a body is written alone.
    pub fn max_request_head(mut self, bytes: usize) -> Self {
        self.limits.max_request_head = bytes;
        self
    }

    /// Sets the largest number of open connections, WebSockets included. Default: 120,000.
    ///
    /// At the limit further clients wait in the listener's queue, until a connection closes.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.limits.max_connections = connections;
        self
    }

    /// Sets how long a shutdown waits for open connections. Default: 10 s.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.limits.shutdown_timeout = timeout;
        self
    }

    /// Sets the largest number of open streams of an HTTP/2 connection. Default: 200.
    pub fn max_concurrent_streams(mut self, streams: u32) -> Self {
        self.limits.max_concurrent_streams = streams;
        self
    }

    /// Sets how many streams of an HTTP/2 connection may be stalled, which are those whose endpoint's
    /// [write timeout](crate::EndpointBuilder::write_timeout) has ended while their client keeps them. One more resets the
    /// connection, which is the only way to free what hyper keeps for them. Default: 4.
    ///
    /// A reply of up to 1 KiB, a refusal, and a body of the application's own routes are not among them. If the client does
    /// not take these, hyper keeps them, with 3 to 8 KiB for the stream, until the client resets the stream or the
    /// connection ends. [`max_concurrent_streams`](Self::max_concurrent_streams) limits their number.
    ///
    /// Set `usize::MAX` behind a proxy that carries several clients on one HTTP/2 connection: else a client that reads
    /// nothing has the others disconnected. An HTTP/1 connection is reset at its first stalled body.
    pub fn max_stalled_streams(mut self, streams: usize) -> Self {
        self.limits.max_stalled_streams = streams;
        self
    }

    /// Sets the largest header list of an HTTP/2 request, in bytes as RFC 9113 §6.5.2 counts them. Default: 16 KiB.
    ///
    /// A larger one gets 431.
    pub fn max_header_list_size(mut self, bytes: u32) -> Self {
        self.limits.max_header_list_size = bytes;
        self
    }

    /// Sets how many bytes of a response are buffered for an HTTP/2 stream whose client takes nothing. Default: 64 KiB.
    pub fn max_send_buf_size(mut self, bytes: usize) -> Self {
        self.limits.max_send_buf_size = bytes;
        self
    }

    /// Sets after which silence an HTTP/2 connection is pinged, and how long the answer may take. Default: 20 s and
    /// 10 s. The connection is closed where the answer does not come.
    pub fn http2_keep_alive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.limits.keep_alive_interval = interval;
        self.limits.keep_alive_timeout = timeout;
        self
    }

    /// Allows requests to this host, `example.com` or `example.com:8080`, beside those that are allowed already. A host
    /// without a port is allowed with every port. Call it once for each host.
    ///
    /// It has an effect where hosts are checked: on a loopback address, and after [`allowed_hosts`](Self::allowed_hosts).
    ///
    /// # Panics
    ///
    /// Panics if `host` is not a host with or without a port.
    pub fn allow_host(mut self, host: impl AsRef<str>) -> Self {
        self.hosts.add(host.as_ref());
        self
    }

    /// Allows requests to these hosts only, on any address; others get 421. Default: the names of the loopback interface
    /// on a loopback address, every host on other addresses.
    ///
    /// # Panics
    ///
    /// Panics if one is not a host with or without a port.
    pub fn allowed_hosts<H: AsRef<str>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.hosts.set(hosts);
        self
    }

    /// Allows requests to every host on a loopback address too, for a server that only a proxy reaches.
    ///
    /// Without it such a proxy has to send the host of the loopback address, or [`allow_host`](Self::allow_host) names
    /// the hosts that it passes on.
    pub fn allow_any_host(mut self) -> Self {
        self.hosts.set_any();
        self
    }
}

impl<S, B, F> IntoFuture for Serve<S, F>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    type Output = io::Result<()>;
    type IntoFuture = ServeFuture;

    fn into_future(self) -> ServeFuture {
        let Self { listener, app, limits, hosts, signal } = self;
        ServeFuture(Box::pin(async move {
            let hosts = hosts.at(listener.local_addr()?.ip());
            accept::run(listener, app, limits, hosts, signal).await;
            Ok(())
        }))
    }
}

/// Future of a running server.
///
/// It ends with `Ok(())` after the signal of [`Serve::with_graceful_shutdown`], else never. An accept that fails is
/// repeated after 100 ms. Dropping it closes the listener; open connections go on in their tasks.
///
/// # Errors
///
/// Ends with the operating system's error if the listener's address cannot be read.
///
/// # Panics
///
/// Panics outside a tokio runtime with I/O and time enabled.
#[must_use = "futures do nothing unless polled"]
pub struct ServeFuture(Pin<Box<dyn Future<Output = io::Result<()>> + Send>>);

impl Future for ServeFuture {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll(cx)
    }
}

impl<S, F> fmt::Debug for Serve<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("limits", &self.limits)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ServeFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeFuture").finish_non_exhaustive()
    }
}
