//! Tests that need a server: the endpoint behind hyper and axum, over loopback.

mod axum;
mod http1;
pub(crate) mod http2;
mod polls;
pub(crate) mod raw;
pub(crate) mod websocket;

use std::convert::Infallible;
use std::net::SocketAddr;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidings::Endpoint;
use tokio::net::TcpListener;

/// A hyper server of HTTP/1 with the endpoint at every path, up to the end of the test.
pub(crate) async fn serve_http1(endpoint: &Endpoint) -> SocketAddr {
    let (listener, endpoint) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), endpoint.clone());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tidings::server::set_tcp_options(&stream).unwrap();
            let endpoint = endpoint.clone();
            let service = service_fn(move |request| {
                let response = endpoint.handle(request);
                async move { Ok::<_, Infallible>(response.await) }
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection.with_upgrades());
        }
    });
    address
}

/// Serves the endpoint over HTTP/2 with prior knowledge.
pub(crate) async fn serve_http2(endpoint: &Endpoint) -> SocketAddr {
    let (listener, endpoint) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), endpoint.clone());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let endpoint = endpoint.clone();
            let service = service_fn(move |request| {
                let response = endpoint.handle(request);
                async move { Ok::<_, Infallible>(response.await) }
            });
            let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            server.enable_connect_protocol();
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}
