//! The accept loop, on hyper itself: a client that waits costs one HTTP/1.1 connection and nothing around it. HTTP/2 is
//! for the proxy in front.

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

/// A client that has not sent a request's head in this time does not mean to.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection may be idle between two requests: longer than the 60 s for which proxies keep one, so that the
/// proxy closes it first.
const IDLE: Duration = Duration::from_secs(75);
/// Bytes of a head: twice of what the endpoint accepts. It is the size of the buffer that a connection reads into.
const MAX_HEAD: usize = 32 * 1024;
/// After an accept that failed, most likely for want of file descriptors.
const BREATHE: Duration = Duration::from_millis(100);
/// How long requests that are still coming in may go on after `over`.
const GRACE: Duration = Duration::from_secs(1);

/// Answers until `over`, and then what is under way.
pub(crate) async fn serve(listener: TcpListener, relay: Arc<Relay>, over: impl Future<Output = ()>) {
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
                    // Once, until it works again.
                    if !std::mem::replace(&mut failing, true) {
                        eprintln!("relay: can't accept connections: {error}; each takes a file descriptor (ulimit -n)");
                    }
                    tokio::time::sleep(BREATHE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = over => {}
    }
    drop((listener, ended));
    let _ = end.send(());
    // The connections wait for requests that are half sent, for as long as their clients like.
    drop(tokio::time::timeout(GRACE, end.closed()).await);
}

/// Boxed, so that what asks at each event lies in the task itself, beside what the runtime touches of it.
fn connection(
    mut socket: CoalescingStream,
    peer: Peer,
    relay: Arc<Relay>,
    ended: watch::Receiver<()>,
) -> impl Future<Output = ()> {
    let mut builder = http1::Builder::new();
    let timer = socket.request_timer(relay.events.timer(), IDLE);
    builder.timer(timer).header_read_timeout(HEAD_WITHIN).max_buf_size(MAX_HEAD);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        answer(&relay, request)
    });
    let mut connection = Box::pin(builder.serve_connection(TokioIo::new(socket), service).with_upgrades());
    let mut end = ended.clone();
    let mut end = Box::pin(async move { end.changed().await });
    let (mut listens, mut told) = (false, false);
    poll_fn(move |cx| {
        // Waited for once, since it is always this task that waits: a connection is polled with every event. What asks
        // at each is `ended`, which is never marked as seen.
        if !listens || (!told && !matches!(ended.has_changed(), Ok(false))) {
            (listens, told) = (true, end.as_mut().poll(cx).is_ready());
            if told {
                connection.as_mut().graceful_shutdown();
            }
        }
        // How a connection ends is the endpoint's business; here it is only over.
        connection.as_mut().poll(cx).map(drop)
    })
}

fn answer(
    relay: &Arc<Relay>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Either<tidings::Body, Full<Bytes>>>, Infallible>> + use<> {
    // Called here and not in the future, the endpoint lets go of the request's head at once, and hyper reads on in the
    // same buffer.
    let answer = match request.uri().path() {
        "/events" => Either::Left(relay.events.handle(request)),
        // Boxed, for each connection has room for the larger of the two, and most only listen.
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
