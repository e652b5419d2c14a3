use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidings::server::{Serve, serve};
use tidings::{Body, Endpoint, LocalHub};
use tokio::io::{DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};

use super::App;

/// Serves the endpoint over HTTP/1 at every path, until the test ends.
pub(crate) async fn serve_http1(endpoint: &Endpoint) -> SocketAddr {
    let (listener, endpoint) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), endpoint.clone());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tidings::server::set_tcp_options(&stream).unwrap();
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service(&endpoint));
            tokio::spawn(connection.with_upgrades());
        }
    });
    address
}

/// Serves the endpoint over HTTP/2 with prior knowledge, until the test ends.
pub(crate) async fn serve_http2(endpoint: &Endpoint) -> SocketAddr {
    let (listener, endpoint) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), endpoint.clone());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tidings::server::set_tcp_options(&stream).unwrap();
            let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            server.enable_connect_protocol();
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service(&endpoint)));
        }
    });
    address
}

/// Serves one connection over HTTP/1, on a pipe that holds this many bytes. Returns the client's end.
pub(crate) fn serve_pipe(endpoint: &Endpoint, bytes: usize) -> DuplexStream {
    let (client, server) = duplex(bytes);
    let server = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service(endpoint));
    tokio::spawn(server.with_upgrades());
    client
}

/// Serves one connection over HTTP/2, on a pipe that holds this many bytes. Returns the client's end.
pub(crate) fn serve_pipe_http2(endpoint: &Endpoint, bytes: usize) -> DuplexStream {
    let (client, server) = duplex(bytes);
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder.enable_connect_protocol();
    tokio::spawn(builder.serve_connection(TokioIo::new(server), service(endpoint)));
    client
}

/// Returns the endpoint as a service of hyper.
fn service(
    endpoint: &Endpoint,
) -> impl Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + use<> {
    let endpoint = endpoint.clone();
    service_fn(move |request| {
        let response = endpoint.handle(request);
        async move { Ok(response.await) }
    })
}

/// Connects over HTTP/2 with prior knowledge.
pub(crate) async fn connect_http2(address: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (client, connection) =
        hyper::client::conn::http2::Builder::new(TokioExecutor::new()).handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Returns a router with the endpoint at `/events`, `hello` at `/`, and `/say`, which publishes the body of a POST. The
/// endpoint's origin layer guards `/` and `/say`.
pub(crate) fn router(app: &App, endpoint: &Endpoint) -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }).post(|text: String| async move { text }))
        .route("/say", get(|| async { "say" }).post(say))
        .layer(endpoint.origin_layer())
        .route_service("/events", endpoint.clone())
        .with_state(app.hub.clone())
}

async fn say(State(hub): State<LocalHub>, text: String) -> &'static str {
    hub.publish_now("news", text).unwrap();
    "said"
}

/// Serves a router by `tidings::server::serve` until the test ends.
pub(crate) async fn serve_router(app: Router, set: impl FnOnce(Serve<Router>) -> Serve<Router>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = set(serve(listener, app));
    let address = server.local_addr().unwrap();
    tokio::spawn(server.into_future());
    address
}
