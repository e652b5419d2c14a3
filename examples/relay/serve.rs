//! The accept loop, directly on hyper: an idle client costs one HTTP/1.1 connection and nothing else. HTTP/2 is left to a
//! proxy in front.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tidings::server::CoalescingStream;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::peer::Peer;
use crate::{Relay, pages, refusal};

/// Time for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for which a connection may be idle between two requests: longer than the 60 s for which proxies keep one, so that
/// the proxy closes it first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// Maximum bytes of a head: twice the endpoint's limit. It is the size of the buffer that a connection reads into.
const MAX_HEAD: usize = 32 * 1024;
/// Pause after an accept that failed, usually for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Time for requests that are still arriving at the shutdown.
const GRACE: Duration = Duration::from_secs(1);

/// Serves until `shutdown` is ready, and then finishes the requests under way.
pub(crate) async fn serve(listener: TcpListener, relay: Arc<Relay>, shutdown: impl Future<Output = ()>) {
    let (end, ended) = watch::channel(());
    let accept = async {
        let mut failing = false;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    failing = false;
                    tokio::spawn(connection(
                        CoalescingStream::new(stream),
                        Peer::of(peer),
                        relay.clone(),
                        ended.clone(),
                    ));
                }
                Err(error) => {
                    // Reported once, until an accept succeeds again.
                    if !std::mem::replace(&mut failing, true) {
                        eprintln!(
                            "relay: cannot accept connections: {error}; each takes a file descriptor (ulimit -n)"
                        );
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = shutdown => {}
    }
    drop((listener, ended));
    let _ = end.send(());
    // A connection with an unfinished request head would wait for its client.
    drop(tokio::time::timeout(GRACE, end.closed()).await);
}

/// Serves one connection. The parts are boxed, so that the flags that each poll reads lie in the task itself, beside the
/// fields that the runtime reads.
fn connection(
    mut socket: CoalescingStream,
    peer: Peer,
    relay: Arc<Relay>,
    ended: watch::Receiver<()>,
) -> impl Future<Output = ()> {
    let mut builder = http1::Builder::new();
    let timer = socket.request_timer(relay.events.timer(), IDLE_TIMEOUT);
    builder.timer(timer).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        answer(&relay, request)
    });
    let mut connection = Box::pin(builder.serve_connection(TokioIo::new(socket), service).with_upgrades());
    let mut end = ended.clone();
    let mut end = Box::pin(async move { end.changed().await });
    let (mut registered, mut shutting_down) = (false, false);
    poll_fn(move |cx| {
        // A connection is polled with every event. The future is polled once, to register this task; after that, each poll
        // only reads `ended`, which is never marked as seen.
        if !registered || (!shutting_down && !matches!(ended.has_changed(), Ok(false))) {
            (registered, shutting_down) = (true, end.as_mut().poll(cx).is_ready());
            if shutting_down {
                connection.as_mut().graceful_shutdown();
            }
        }
        // The endpoint handles the end of a connection.
        connection.as_mut().poll(cx).map(drop)
    })
}

fn answer(
    relay: &Arc<Relay>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Either<tidings::Body, Full<Bytes>>>, Infallible>> + use<> {
    // The endpoint is called here and not in the future, so that it drops the request's head at once, and hyper continues in
    // the same buffer.
    let answer = match request.uri().path() {
        "/events" => Either::Left(relay.events.handle(request)),
        // Boxed, since each connection has room for the larger of the two, and most connections only follow events.
        _ => {
            let relay = relay.clone();
            Either::Right(Box::pin(async move { pages::answer(&relay, request).await }))
        }
    };
    async move {
        Ok(match answer {
            Either::Left(events) => refusal::name_options(events.await),
            Either::Right(page) => page.await.map(Either::Right),
        })
    }
}
