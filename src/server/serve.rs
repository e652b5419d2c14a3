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

/// Creates a server for an application, over HTTP/1 and HTTP/2 without TLS.
///
/// The application is an [`axum::Router`](https://docs.rs/axum), an [`Endpoint`](crate::Endpoint) or another tower
/// service. The methods of the returned [`Serve`] set limits, and awaiting it runs the server.
///
/// On a loopback address only requests to `localhost`, `127.0.0.1` and `[::1]`, with any port, reach the application. A
/// request to another host is answered with 421 (RFC 9110 §15.5.20). Otherwise a page of another site could bind its own
/// name to the loopback address, and would then have the same origin (DNS rebinding). For a server behind a proxy see
/// [`Serve::allow_host`] and [`Serve::allow_any_host`].
///
/// The bodies of requests have no deadline and no size limit in the server, because the application reads them. An endpoint
/// has its own limits for messages.
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

/// Server that [`serve`] returns. It runs when it is awaited.
///
/// | limit | default | set by | reason |
/// |---|---|---|---|
/// | time for a request's head | 10 s | [`head_timeout`](Self::head_timeout) | a slow modem sends a head in 1 s |
/// | idle time of an HTTP/1 connection between two requests | 75 s | [`idle_timeout`](Self::idle_timeout) | above the 60 s for which proxies keep a connection, so that the proxy closes it first |
/// | size of an HTTP/1 head | 32 KiB | [`max_request_head`](Self::max_request_head) | twice the limit of the endpoint; 500 unfinished heads take 16 MiB |
/// | connections | 120,000 | [`max_connections`](Self::max_connections) | more than the endpoint's 100,000 sessions, so that further clients still receive its 503 |
/// | time for a shutdown | 10 s | [`shutdown_timeout`](Self::shutdown_timeout) | with a drain of 10 s before it, below the 30 s after which orchestrators kill a process |
/// | streams of an HTTP/2 connection | 200 | [`max_concurrent_streams`](Self::max_concurrent_streams) | a browser uses up to 100 |
/// | stalled streams of an HTTP/2 connection | 4 | [`max_stalled_streams`](Self::max_stalled_streams) | a page may leave a few unread; hyper keeps 3 to 8 KiB for each |
/// | size of an HTTP/2 header list | 16 KiB | [`max_header_list_size`](Self::max_header_list_size) | the limit of the endpoint |
/// | bytes buffered for an HTTP/2 stream | 64 KiB | [`max_send_buf_size`](Self::max_send_buf_size) | one batch of events; it is held for each stream whose client reads nothing |
/// | silence of an HTTP/2 connection before a ping | 20 s | [`http2_keep_alive`](Self::http2_keep_alive) | below the 60 s after which proxies close a connection |
/// | time for the answer to the ping | 10 s | [`http2_keep_alive`](Self::http2_keep_alive) | tolerates brief mobile outages |
///
/// Fixed: `TCP_NODELAY`, a `TCP_USER_TIMEOUT` of 30 s and a `TCP_NOTSENT_LOWAT` of 64 KiB, see
/// [`set_tcp_options`](crate::server::set_tcp_options).
///
/// ```no_run
/// use std::time::Duration;
/// use tidings::server::{bind, serve};
///
/// # async fn run(app: axum::Router) -> std::io::Result<()> {
/// serve(bind("0.0.0.0:3000").await?, app)
///     .max_connections(10_000)
///     .head_timeout(Duration::from_secs(5))
///     .allowed_hosts(["example.com"])
///     .await
/// # }
/// ```
#[must_use = "a server does nothing until it is awaited"]
pub struct Serve<S, F = Pending<()>> {
    listener: TcpListener,
    app: S,
    limits: Limits,
    hosts: HostRule,
    signal: F,
}

impl<S, F> Serve<S, F> {
    /// Sets a signal that stops the server: it accepts no further connections, and waits for the open ones.
    ///
    /// A connection closes when its current requests are answered. An idle connection closes at once, and one with an
    /// unfinished head after the [`head_timeout`](Self::head_timeout). Connections that are open after the
    /// [`shutdown_timeout`](Self::shutdown_timeout) are aborted.
    ///
    /// Use [`Endpoint::drain_on`](crate::Endpoint::drain_on) as the signal of an application with an endpoint, because
    /// streams and WebSockets do not end by themselves.
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

    /// Returns the address of the listener.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Sets the time for a request's head. Default: 10 s. A slow modem sends a head in 1 s.
    ///
    /// After this time the connection is closed without an answer. The time begins with the connection, and for a further
    /// request with its first byte. On a new connection it applies to the first byte and again to the rest of the head. A
    /// head that begins before the previous answer has ended (pipelining) has the [`idle_timeout`](Self::idle_timeout)
    /// instead, from the end of that answer.
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.limits.head_timeout = timeout;
        self
    }

    /// Sets the time that an HTTP/1 connection may be idle between two requests. Default: 75 s. It is above the 60 s for
    /// which nginx and other proxies keep connections for reuse.
    ///
    /// After this time the connection is closed. If the server closed connections before the proxy does, the proxy would at
    /// times send a request on a connection that is being closed, and answer 502. An HTTP/2 connection stays open while it
    /// answers pings.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.limits.idle_timeout = timeout;
        self
    }

    /// Sets the maximum size of the head of an HTTP/1 request, in bytes, at least 8 KiB. Default: 32 KiB. It is twice the
    /// limit of the endpoint.
    ///
    /// A head that is not complete after this number of bytes is answered with 431 (RFC 6585 §5), and its connection is
    /// closed. A head of up to twice the size is accepted if it arrives in a single read. The value is also the size of the
    /// read buffer of a connection, and the number of bytes of a response that are buffered before they are written. A larger
    /// piece of a body is written alone.
    pub fn max_request_head(mut self, bytes: usize) -> Self {
        self.limits.max_request_head = bytes;
        self
    }

    /// Sets the maximum number of open connections, WebSockets included. Default: 120,000. It is above the endpoint's limit
    /// of 100,000 sessions, so that further clients receive its 503.
    ///
    /// At the limit further clients wait in the listener's queue until a connection closes.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.limits.max_connections = connections;
        self
    }

    /// Sets the time that a shutdown waits for open connections. Default: 10 s. With a drain of 10 s before it, the process
    /// ends within the 30 s after which orchestrators kill it.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.limits.shutdown_timeout = timeout;
        self
    }

    /// Sets the maximum number of open streams of an HTTP/2 connection. Default: 200. A browser opens up to 100.
    pub fn max_concurrent_streams(mut self, streams: u32) -> Self {
        self.limits.max_concurrent_streams = streams;
        self
    }

    /// Sets the maximum number of stalled streams of an HTTP/2 connection. Default: 4. A page may leave a few streams unread.
    ///
    /// A stream is stalled if it exceeded the endpoint's [write timeout](crate::EndpointBuilder::write_timeout) and its client
    /// keeps it open. One stalled stream above the limit resets the connection, because only that frees the memory that hyper
    /// holds for the streams. An HTTP/1 connection is reset at its first stalled body.
    ///
    /// Replies of up to 1 KiB, rejections, and bodies of the application's own routes are not counted. If the client does not
    /// read these, hyper holds them, with 3 to 8 KiB for each stream, until the client resets the stream or the connection
    /// ends. [`max_concurrent_streams`](Self::max_concurrent_streams) limits their number.
    ///
    /// Set `usize::MAX` behind a proxy that carries several clients on one HTTP/2 connection. Otherwise one client that reads
    /// nothing disconnects the others.
    pub fn max_stalled_streams(mut self, streams: usize) -> Self {
        self.limits.max_stalled_streams = streams;
        self
    }

    /// Sets the maximum size of the header list of an HTTP/2 request, in bytes as RFC 9113 §6.5.2 counts them. Default:
    /// 16 KiB. It is the limit of the endpoint.
    ///
    /// A request with a larger list is answered with 431.
    pub fn max_header_list_size(mut self, bytes: u32) -> Self {
        self.limits.max_header_list_size = bytes;
        self
    }

    /// Sets the number of bytes of a response that are buffered for an HTTP/2 stream whose client reads nothing. Default:
    /// 64 KiB. It is one batch of events.
    pub fn max_send_buf_size(mut self, bytes: usize) -> Self {
        self.limits.max_send_buf_size = bytes;
        self
    }

    /// Sets the silence after which an HTTP/2 connection is pinged, and the time for the answer. Without an answer the
    /// connection is closed. Default: 20 s and 10 s. The former is below the 60 s after which proxies close a connection, and
    /// the latter tolerates brief mobile outages.
    pub fn http2_keep_alive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.limits.keep_alive_interval = interval;
        self.limits.keep_alive_timeout = timeout;
        self
    }

    /// Adds an allowed host, such as `example.com` or `example.com:8080`. A host without a port is allowed with every port.
    ///
    /// The list applies on a loopback address, and after [`allowed_hosts`](Self::allowed_hosts).
    ///
    /// # Panics
    ///
    /// Panics if `host` is not a host with or without a port.
    pub fn allow_host(mut self, host: impl AsRef<str>) -> Self {
        self.hosts.add(host.as_ref());
        self
    }

    /// Sets the allowed hosts, on any address. A request to another host is answered with 421 (RFC 9110 §15.5.20). Default:
    /// the names of the loopback interface on a loopback address, every host on other addresses.
    ///
    /// # Panics
    ///
    /// Panics if an item is not a host with or without a port.
    pub fn allowed_hosts<H: AsRef<str>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.hosts.set(hosts);
        self
    }

    /// Allows every host, also on a loopback address. Use it for a server that only a proxy can reach.
    ///
    /// Otherwise the proxy must send the host of the loopback address, or [`allow_host`](Self::allow_host) must be called for
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
/// It ends with `Ok(())` after the signal of [`Serve::with_graceful_shutdown`]. Without a signal it does not end. An accept
/// that fails is repeated after 100 ms. Dropping the future closes the listener. Open connections continue in their tasks.
///
/// # Errors
///
/// Returns the error of the operating system if the address of the listener cannot be read.
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
