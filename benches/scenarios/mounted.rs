//! From publish to the socket: hub, adapter, endpoint, hyper and tokio, over connections in memory that count their
//! writes
//! and drop the bytes.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use tidings::{Endpoint, EndpointBuilder, Event, LocalHub, SubscribeRequest, Topic};

const CONNECTIONS: usize = 200;
pub(super) static PAYLOAD: &[u8] = &ALIGNED.0;

/// Aligned, so that the UTF-8 check costs the same in each build.
#[repr(align(16))]
struct Aligned([u8; 100]);

static ALIGNED: Aligned = Aligned([b'x'; 100]);

pub(crate) const SSE: &[u8] =
    b"GET /events?topic=bench HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n";
pub(crate) const CHUNKED: &[u8] =
    b"GET /events?topic=bench HTTP/1.1\r\nhost: localhost\r\naccept: application/x-ndjson\r\n\r\n";
pub(crate) const LONG_POLL: &[u8] = b"GET /events?topic=bench HTTP/1.1\r\nhost: localhost\r\nprefer: wait=50\r\n\r\n";
pub(crate) const WEBSOCKET: &[u8] = b"GET /events?topic=bench HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Opens the connections with this request and publishes the bursts. Returns the number of delivered events.
pub(crate) fn run(request: &'static [u8], burst: usize, rounds: usize) -> usize {
    in_memory(async {
        let (hub, topic, written) = (LocalHub::new(), topic(), Arc::new(AtomicUsize::new(0)));
        open(CONNECTIONS, request, &written, mounted(&hub));
        settle(&written).await;
        // After the first event every buffer has its first size.
        hub.publish_now(&topic, event()).expect("open");
        settle(&written).await;
        for _ in 0..rounds {
            let before = written.load(Ordering::Relaxed);
            for _ in 0..burst {
                hub.publish_now(&topic, event()).expect("open");
            }
            settle(&written).await;
            let fresh = written.load(Ordering::Relaxed) - before;
            assert!(fresh >= CONNECTIONS * burst * PAYLOAD.len(), "not everything was delivered");
        }
        CONNECTIONS * burst * rounds
    })
}

/// Heap bytes per idle connection after an event (before it, for a held poll), and per connection with the same request
/// and a
/// body, or an upgraded connection, that only hyper's code holds.
pub(crate) fn idle_heap(request: &'static [u8], heap: fn() -> usize) -> (f64, f64) {
    const IDLE: usize = 1_000;
    let is_poll = request == LONG_POLL;
    let ours = in_memory(async {
        let (hub, written) = (LocalHub::new(), Arc::new(AtomicUsize::new(0)));
        let (service, request) = (mounted(&hub), if is_poll { from_now(request, &hub) } else { request });
        // One connection first, for allocations that are made once.
        open(1, request, &written, service.clone());
        settle(&written).await;
        let before = heap();
        open(IDLE, request, &written, service);
        settle(&written).await;
        if !is_poll {
            hub.publish_now(topic(), event()).expect("open");
            settle(&written).await;
        }
        (heap() - before) as f64 / IDLE as f64
    });
    let hypers = in_memory(async {
        let written = Arc::new(AtomicUsize::new(0));
        let service = |request| async move { Ok::<_, Infallible>(held(request)) };
        open(1, request, &written, service);
        settle(&written).await;
        let before = heap();
        open(IDLE, request, &written, service);
        settle(&written).await;
        (heap() - before) as f64 / IDLE as f64
    });
    (ours, hypers)
}

/// Returns the same request with a cursor: a poll without one is held for at most 1 s.
fn from_now(request: &'static [u8], hub: &LocalHub) -> &'static [u8] {
    let request = std::str::from_utf8(request).expect("ASCII");
    request.replacen("?topic=bench", &format!("?topic=bench&cursor={}", hub.cursor()), 1).leak().as_bytes()
}

pub(super) fn in_memory<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(work)
}

pub(super) fn topic() -> Topic {
    Topic::new("bench").expect("valid")
}

pub(super) fn event() -> Event {
    Event::utf8(Bytes::from_static(PAYLOAD)).expect("text")
}

fn mounted(hub: &LocalHub) -> impl Fn(Request<Incoming>) -> Answer + Clone + Send + 'static {
    let events = endpoint(hub);
    move |request| {
        let events = events.clone();
        Box::pin(async move { Ok(events.handle(request).await) })
    }
}

/// Returns an endpoint at which every client may subscribe to every topic.
pub(super) fn endpoint(hub: &LocalHub) -> Endpoint {
    builder(hub).build()
}

pub(super) fn builder(hub: &LocalHub) -> EndpointBuilder {
    let hub = hub.clone();
    Endpoint::builder(move |request: SubscribeRequest| {
        let hub = hub.clone();
        async move { Ok(hub.subscribe(request.subscribe_to(request.topics()))?) }
    })
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<tidings::Body>, Infallible>> + Send>>;

/// Returns the head of the response that the endpoint would give, without a body.
fn held(mut request: Request<Incoming>) -> Response<Silence> {
    let mut response = Response::new(Silence);
    if request.headers().contains_key("upgrade") {
        *response.status_mut() = hyper::StatusCode::SWITCHING_PROTOCOLS;
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let _held = upgrade.await;
            std::future::pending::<()>().await;
        });
    }
    response
}

/// A body that stays pending.
struct Silence;

impl hyper::body::Body for Silence {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

fn open<S, F, B>(count: usize, request: &'static [u8], written: &Arc<AtomicUsize>, service: S)
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    for _ in 0..count {
        let memory = Memory { request, written: Arc::clone(written) };
        let connection = http1::Builder::new().serve_connection(memory, service_fn(service.clone()));
        tokio::spawn(async move {
            connection.with_upgrades().await.expect("no error in memory");
        });
    }
}

/// Lets every task run until nothing more is written.
async fn settle(written: &AtomicUsize) {
    loop {
        let before = written.load(Ordering::Relaxed);
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        if written.load(Ordering::Relaxed) == before {
            return;
        }
    }
}

/// A connection with a client that sends one request and reads everything.
struct Memory {
    request: &'static [u8],
    written: Arc<AtomicUsize>,
}

impl Memory {
    fn take(&self, len: usize) -> Poll<std::io::Result<usize>> {
        self.written.fetch_add(len, Ordering::Relaxed);
        Poll::Ready(Ok(len))
    }
}

impl Read for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.request.is_empty() {
            return Poll::Pending;
        }
        let (now, later) = self.request.split_at(self.request.len().min(buf.remaining()));
        buf.put_slice(now);
        self.request = later;
        Poll::Ready(Ok(()))
    }
}

impl Write for Memory {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        self.take(buf.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        self.take(bufs.iter().map(|buf| buf.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
