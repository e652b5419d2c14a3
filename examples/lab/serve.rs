use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tidings::server::CoalescingStream;
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service;

use crate::ledger::Ledger;
use crate::meter::{Meter, Metered};

/// A client that has not sent a request's head in this time does not mean to.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection may be idle between two requests.
const IDLE: Duration = Duration::from_secs(75);
/// Bytes of a head: twice of what the endpoint accepts.
const MAX_HEAD: usize = 32 * 1024;
/// After an accept that failed, most likely for want of file descriptors.
const BREATHE: Duration = Duration::from_millis(100);

/// Accepts connections for good. An accept loop of our own, because the bytes are counted below HTTP.
pub(crate) async fn serve(listener: TcpListener, app: Router, ledger: Ledger) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, app.clone(), ledger.clone()));
            }
            Err(_) => tokio::time::sleep(BREATHE).await,
        }
    }
}

async fn connection(stream: TcpStream, app: Router, ledger: Ledger) {
    let meter = Arc::new(Meter::default());
    ledger.opened(&meter);
    let mut socket = CoalescingStream::new(stream);
    let timer = socket.request_timer(TokioTimer::new(), IDLE);
    let io = TokioIo::new(Metered::new(socket, meter.clone()));
    let service = service_fn(move |request: Request<Incoming>| {
        meter.request(panel(&request).and_then(|id| ledger.panel(id)));
        answer(app.clone(), request)
    });
    // How a connection ends is the endpoint's business, and the page's; here it is only over.
    let _ = http1::Builder::new()
        .timer(timer)
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MAX_HEAD)
        .serve_connection(io, service)
        .with_upgrades()
        .await;
}

async fn answer(mut app: Router, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    app.call(request.map(Body::new)).await
}

/// The panel that asks, by its own word.
fn panel<B>(request: &Request<B>) -> Option<&str> {
    request.uri().query()?.split('&').find_map(|pair| pair.strip_prefix("panel="))
}
