//! From publish to the socket: hub, adapter, endpoint, hyper and tokio, over connections in memory whose writes are
//! counted and forgotten.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tidings::{Endpoint, Event, LocalHub, SubscribeRequest, Topic, publisher_fn};

const CONNECTIONS: usize = 200;
const PAYLOAD: &[u8] = &[b'x'; 100];

pub const SSE: &[u8] = b"GET /events?topic=bench HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n";
pub const CHUNKED: &[u8] = b"GET /events?topic=bench HTTP/1.1\r\nhost: localhost\r\naccept: application/x-ndjson\r\n\r\n";
pub const WEBSOCKET: &[u8] = b"GET /events?topic=bench HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Opens the connections with this request, publishes the bursts, and returns how many events were delivered.
pub fn run(request: &'static [u8], burst: usize, rounds: usize) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (hub, topic) = (LocalHub::new(), Topic::new("bench").expect("valid"));
        let events = endpoint(&hub);
        let written = Arc::new(AtomicUsize::new(0));
        for _ in 0..CONNECTIONS {
            tokio::task::spawn_local(connection(request, events.clone(), Arc::clone(&written)));
        }
        settle(&written).await;
        // The first event has the retry line in it, and every buffer at its first size.
        hub.publish_now(&topic, event()).expect("open");
        settle(&written).await;
        for _ in 0..rounds {
            let before = written.load(Ordering::Relaxed);
            for _ in 0..burst {
                hub.publish_now(&topic, event()).expect("open");
            }
            settle(&written).await;
            assert!(written.load(Ordering::Relaxed) - before >= CONNECTIONS * burst * PAYLOAD.len(), "not everything was delivered");
        }
        CONNECTIONS * burst * rounds
    })
}

fn endpoint(hub: &LocalHub) -> Endpoint {
    let hub = hub.clone();
    Endpoint::new(publisher_fn(move |request: SubscribeRequest| {
        let hub = hub.clone();
        async move { Ok(hub.subscribe(request.subscribe(request.topics()))?) }
    }))
}

fn event() -> Event {
    Event::utf8(Bytes::from_static(PAYLOAD)).expect("text")
}

fn connection(request: &'static [u8], events: Endpoint, written: Arc<AtomicUsize>) -> impl Future<Output = ()> {
    let service = service_fn(move |request| {
        let events = events.clone();
        async move { Ok::<_, Infallible>(events.handle(request).await) }
    });
    let connection = http1::Builder::new().serve_connection(Memory { request, written: Shared(written) }, service);
    async move {
        connection.with_upgrades().await.expect("no error in memory");
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

/// A connection whose client sends one request, reads everything and says nothing more.
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
