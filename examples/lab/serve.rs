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

/// Time for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for which a connection may be idle between two requests.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// Maximum bytes of a head: twice the endpoint's limit.
const MAX_HEAD: usize = 32 * 1024;
/// Pause after an accept that failed, usually for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until it is dropped. The lab has its own accept loop because it counts bytes below HTTP.
pub(crate) async fn serve(listener: TcpListener, app: Router, ledger: Ledger) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, app.clone(), ledger.clone()));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(stream: TcpStream, app: Router, ledger: Ledger) {
    let meter = Arc::new(Meter::default());
    ledger.opened(&meter);
    let mut socket = CoalescingStream::new(stream);
    let timer = socket.request_timer(TokioTimer::new(), IDLE_TIMEOUT);
    let io = TokioIo::new(Metered::new(socket, meter.clone()));
    let service = service_fn(move |request: Request<Incoming>| {
        meter.request(panel(&request).and_then(|id| ledger.panel(id)));
        answer(app.clone(), request)
    });
    // The endpoint and the page handle the end of a connection.
    let _ = http1::Builder::new()
        .timer(timer)
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(io, service)
        .with_upgrades()
        .await;
}

async fn answer(mut app: Router, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    app.call(request.map(Body::new)).await
}

/// Returns the panel that a request names.
fn panel<B>(request: &Request<B>) -> Option<&str> {
    request.uri().query()?.split('&').find_map(|pair| pair.strip_prefix("panel="))
}
