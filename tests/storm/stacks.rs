use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use socket2::SockRef;
use tidings::Endpoint;
use tokio::net::{TcpListener, TcpStream};

/// Options of every connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sockets {
    /// `TCP_USER_TIMEOUT` other than that of `tidings::server::set_tcp_options`.
    pub(crate) user_timeout: Option<Duration>,
}

impl Sockets {
    fn set(self, stream: &TcpStream) {
        drop(tidings::server::set_tcp_options(stream));
        if self.user_timeout.is_some() {
            drop(SockRef::from(stream).set_tcp_user_timeout(self.user_timeout));
        }
    }
}

/// Serves by the library's own server until the signal, and until all connections have ended.
pub(crate) async fn on_server(
    listener: TcpListener,
    endpoint: Endpoint,
    signal: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = Router::new().route_service("/events", endpoint.clone());
    tidings::server::serve(listener, app).allow_any_host().with_graceful_shutdown(endpoint.drain_on(signal)).await
}

/// Serves on axum until the signal, and until all connections have ended.
pub(crate) async fn on_axum(
    listener: TcpListener,
    endpoint: Endpoint,
    signal: impl Future<Output = ()> + Send + 'static,
    sockets: Sockets,
) -> io::Result<()> {
    let app = Router::new().route_service("/events", endpoint.clone());
    let listener = listener.tap_io(move |stream| sockets.set(stream));
    axum::serve(listener, app).with_graceful_shutdown(endpoint.drain_on(signal)).await
}

/// Serves the endpoint on hyper alone.
pub(crate) async fn on_hyper(
    listener: TcpListener,
    endpoint: Endpoint,
    signal: impl Future<Output = ()> + Send + 'static,
    sockets: Sockets,
) -> io::Result<()> {
    let connections = GracefulShutdown::new();
    let mut drained = pin!(endpoint.drain_on(signal));
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            () = &mut drained => break,
        };
        sockets.set(&stream);
        let endpoint = endpoint.clone();
        let service = service_fn(move |request| {
            let endpoint = endpoint.clone();
            async move { Ok::<_, Infallible>(endpoint.handle(request).await) }
        });
        let http = auto::Builder::new(TokioExecutor::new());
        let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        tokio::spawn(connections.watch(connection));
    }
    drop(listener);
    connections.shutdown().await;
    Ok(())
}
