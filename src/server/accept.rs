use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tower_service::Service;

use super::app::App;
use super::connection::{self, Http};
use super::connections::Connections;
use super::hosts::Hosts;
use super::io::Io;
use super::limits::Limits;
use crate::server::CoalescingStream;

/// Pause after an accept that failed. The common cause is the limit of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until `signal` is ready, then waits for the open ones.
pub(super) async fn run<S, B>(
    listener: TcpListener,
    app: S,
    limits: Limits,
    hosts: Option<Hosts>,
    signal: impl Future<Output = ()>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let (http, hosts) = (Arc::new(Http::new(&limits)), Arc::new(hosts));
    // If the future is dropped, the connections continue, as those of `axum::serve` do.
    let connections = Connections::default();
    let places = Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS));
    let max_stalled = limits.max_stalled_streams;
    let (places, open, listening) = (Arc::new(places), &connections, &listener);
    let accepts = async move {
        // An error is returned by a closed semaphore only, and this one is not closed.
        while let Ok(place) = places.clone().acquire_owned().await {
            let (stream, peer) = accept(listening).await;
            let open = open.open(place, max_stalled);
            let handle = open.handle().clone();
            let app = App::new(app.clone(), hosts.clone(), peer, handle.clone());
            let io = Io::new(CoalescingStream::new(stream), open);
            tokio::spawn(connection::serve(http.clone(), io, app, handle));
        }
    };
    until(signal, accepts).await;
    drop(listener);
    connections.finish();
    if timeout(limits.shutdown_timeout, connections.closed()).await.is_err() {
        connections.abort();
    }
}

/// Polls `work` until `signal` is ready, then drops it.
async fn until(signal: impl Future<Output = ()>, work: impl Future<Output = ()>) {
    let (mut signal, mut work) = (pin!(signal), pin!(work));
    poll_fn(|cx| match signal.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => work.as_mut().poll(cx),
    })
    .await;
}

/// Accepts the next connection. Repeats an accept that fails.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {}
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Returns whether an error means that a connection ended before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
