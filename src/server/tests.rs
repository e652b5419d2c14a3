//! Tests of a connection's handle, which is not public. The public behaviour is tested in `tests/it`.
#![allow(clippy::unwrap_used, reason = "a test's panic is its verdict")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::yield_now;
use tower_service::Service;

use super::serve;
use crate::endpoint::ConnectionHandle;

/// Application whose every body is endless.
#[derive(Clone)]
struct Endless {
    handles: UnboundedSender<ConnectionHandle>,
    pieces: Arc<AtomicUsize>,
}

/// Body that counts the pieces that are taken of it. It shares the count, so that the end of the body shows.
struct Zeros(Arc<AtomicUsize>);

impl http_body::Body for Zeros {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 16 * 1024])))))
    }
}

impl Service<Request<Incoming>> for Endless {
    type Response = Response<Zeros>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Zeros>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        self.handles.send(request.extensions().get::<ConnectionHandle>().unwrap().clone()).unwrap();
        std::future::ready(Ok(Response::new(Zeros(self.pieces.clone()))))
    }
}

impl Endless {
    /// Returns the application's count, its address and the handles of the connections that ask it.
    async fn served() -> (Self, SocketAddr, UnboundedReceiver<ConnectionHandle>) {
        let (handles, asked) = unbounded_channel();
        let app = Self { handles, pieces: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, app.clone()).into_future());
        (app, address, asked)
    }

    /// Waits until all buffers on the way to the client are full.
    async fn stalled(&self) {
        let (mut before, mut same) = (0, 0);
        while same < 1_000 {
            yield_now().await;
            let now = self.pieces.load(Ordering::Relaxed);
            same = if now == before { same + 1 } else { 0 };
            before = now;
        }
        assert!(before > 0);
    }

    /// Waits until no body is left: the application is cloned once for the server and once for each connection.
    async fn without_bodies(&self, others: usize) {
        while Arc::strong_count(&self.pieces) > others {
            yield_now().await;
        }
    }
}

fn abort_on_another_thread(handle: ConnectionHandle) {
    std::thread::spawn(move || handle.abort()).join().unwrap();
}

#[tokio::test]
async fn aborted_http_1_connection_whose_client_takes_nothing_is_closed() {
    let (app, address, mut asked) = Endless::served().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let handle = asked.recv().await.unwrap();
    app.stalled().await;
    abort_on_another_thread(handle);
    app.without_bodies(2).await;
    // The kernel's buffers are discarded, so the client sees a reset and not the rest of the body.
    let mut rest = Vec::new();
    assert!(client.read_to_end(&mut rest).await.is_err(), "{} bytes", rest.len());
}

#[tokio::test]
async fn aborted_http_2_connection_whose_client_takes_nothing_is_closed() {
    let (app, address, mut asked) = Endless::served().await;
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut responses = Vec::new();
    for _ in 0..2 {
        let request = Request::get("http://localhost/").body(Empty::<Bytes>::new()).unwrap();
        responses.push(client.send_request(request).await.unwrap());
    }
    let handle = asked.recv().await.unwrap();
    app.stalled().await;
    abort_on_another_thread(handle);
    app.without_bodies(2).await;
    assert!(connection.await.unwrap().is_err());
    drop(responses);
}

#[tokio::test]
async fn aborted_connection_without_a_request_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (connections, places) = (super::connections::Connections::default(), Arc::new(tokio::sync::Semaphore::new(1)));
    let open = connections.open(places.clone().acquire_owned().await.unwrap(), 4);
    let handle = open.handle().clone();
    let io = super::io::Io::new(crate::server::CoalescingStream::new(listener.accept().await.unwrap().0), open);
    let http = Arc::new(super::connection::Http::new(&super::limits::Limits::default()));
    let app = Endless { handles: unbounded_channel().0, pieces: Arc::default() };
    let app = super::app::App::new(app, Arc::new(None), client.local_addr().unwrap(), handle.clone());
    let task = tokio::spawn(super::connection::serve(http, io, app, handle.clone()));
    yield_now().await;
    assert_eq!((task.is_finished(), places.available_permits()), (false, 0));
    abort_on_another_thread(handle);
    task.await.unwrap();
    connections.closed().await;
    assert_eq!(places.available_permits(), 1);
    assert!(client.read_to_end(&mut Vec::new()).await.is_err());
}
