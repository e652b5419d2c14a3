use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1::UpgradeableConnection;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::timeout;
use tower_service::Service;

use super::app::App;
use super::io::{Io, Version};
use super::limits::Limits;
use crate::endpoint::{ConnectionHandle, ConnectionOrder};

/// HTTP builders and timeouts of a server.
#[derive(Debug)]
pub(super) struct Http {
    head_timeout: Duration,
    idle_timeout: Duration,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Http {
    pub(super) fn new(limits: &Limits) -> Self {
        let &Limits { head_timeout, idle_timeout, .. } = limits;
        Self { head_timeout, idle_timeout, http1: limits.http1(), http2: limits.http2() }
    }
}

/// Serves one connection until it ends, in the client's version of HTTP.
///
/// hyper-util's builder for both versions is not used, because it waits for the first byte without a deadline and takes twice
/// the memory for a connection.
pub(super) async fn serve<S, B>(http: Arc<Http>, mut io: Io, app: App<S>, handle: ConnectionHandle)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let version = poll_fn(|cx| match handle.poll_order(cx) {
        ConnectionOrder::Serve => io.poll_version(cx).map(Result::ok),
        // No request has begun.
        ConnectionOrder::Finish | ConnectionOrder::Abort => Poll::Ready(None),
    });
    let Ok(Some(version)) = timeout(http.head_timeout, version).await else { return };
    // The result is ignored, since each request sees its own error. Each connection is boxed, so that the task has the size
    // of its own version only.
    match version {
        Version::Http1 => {
            let mut builder = http.http1.clone();
            builder.timer(io.request_timer(http.idle_timeout));
            let connection = builder.serve_connection(TokioIo::new(io), app).with_upgrades();
            drop(http);
            drive(Box::pin(connection), UpgradeableConnection::graceful_shutdown, &handle).await;
        }
        Version::Http2 => {
            let connection = http.http2.serve_connection(TokioIo::new(io), app);
            drop(http);
            drive(Box::pin(connection), http2::Connection::graceful_shutdown, &handle).await;
        }
    }
}

/// Polls a connection and obeys the orders of its handle.
fn drive<C: Future>(
    mut connection: Pin<Box<C>>,
    finish: fn(Pin<&mut C>),
    handle: &ConnectionHandle,
) -> impl Future<Output = ()> {
    let mut finishes = false;
    poll_fn(move |cx| {
        match handle.poll_order(cx) {
            ConnectionOrder::Abort => return Poll::Ready(()),
            ConnectionOrder::Finish if !std::mem::replace(&mut finishes, true) => {
                finish(connection.as_mut());
            }
            ConnectionOrder::Serve | ConnectionOrder::Finish => {}
        }
        connection.as_mut().poll(cx).map(drop)
    })
}
