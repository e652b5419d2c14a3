//! WebSockets of clients that read slowly, over HTTP/1.1 and HTTP/2, through a pipe and in virtual time.

use std::any::Any;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidings::{Endpoint, EndpointBuilder, LocalHub, Retention, SessionEnd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::clients::Http;
use crate::support::http::{App, frame, pass, serve_pipe, serve_pipe_http2};

const SECOND: Duration = Duration::from_secs(1);
/// Size of an event, in bytes.
const LARGE: usize = 800_000;
/// Interval between two reads of the client.
const STEP: Duration = Duration::from_millis(100);

/// A WebSocket client that reads only as much as the test requests.
struct SlowClient {
    io: TokioIo<Upgraded>,
    read: Vec<u8>,
    /// Length of each text.
    texts: Vec<usize>,
    pings: usize,
    answers: bool,
    /// Keeps the connection open.
    _sender: Box<dyn Any + Send>,
}

impl SlowClient {
    /// Connects over a pipe of this many bytes. On HTTP/2 the client's windows have this size too.
    async fn connect(endpoint: &Endpoint, http: Http, pipe: usize) -> Self {
        let (response, sender): (_, Box<dyn Any + Send>) = match http {
            Http::One => {
                let io = TokioIo::new(serve_pipe(endpoint, pipe));
                let (mut sender, connection) = http1::handshake(io).await.unwrap();
                tokio::spawn(connection.with_upgrades());
                let request = Request::get("/events").header("host", "example.com").header("upgrade", "websocket");
                let request = request.header("connection", "Upgrade").header("sec-websocket-version", "13");
                let request = request.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
                (sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap(), Box::new(sender))
            }
            Http::Two => {
                let io = TokioIo::new(serve_pipe_http2(endpoint, pipe));
                let mut client = http2::Builder::new(TokioExecutor::new());
                client.initial_stream_window_size(pipe as u32).initial_connection_window_size(pipe as u32);
                let (mut sender, connection) = client.handshake(io).await.unwrap();
                tokio::spawn(connection);
                let request = Request::connect("http://example.com/events");
                let request = request.extension(Protocol::from_static("websocket"));
                let request = request.header("sec-websocket-version", "13").body(Empty::<Bytes>::new()).unwrap();
                (sender.send_request(request).await.unwrap(), Box::new(sender))
            }
        };
        let io = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        Self { io, read: Vec::new(), texts: Vec::new(), pings: 0, answers: true, _sender: sender }
    }

    /// Reads at most `rate` bytes a second, for this time or until the connection ends.
    async fn read(&mut self, rate: usize, time: Duration) {
        let end = Instant::now() + time;
        let mut buffer = vec![0; rate / 10];
        while Instant::now() < end {
            let Ok(read) = timeout(STEP, self.io.read(&mut buffer)).await else { continue };
            let Ok(read @ 1..) = read else { return };
            self.read.extend_from_slice(&buffer[..read]);
            self.take_frames().await;
            pass(SECOND * read as u32 / rate as u32).await;
        }
    }

    async fn take_frames(&mut self) {
        loop {
            let (head, len) = match self.read[..] {
                [_, 126, a, b, ..] => (4, usize::from(u16::from_be_bytes([a, b]))),
                [_, 127, a, b, c, d, e, f, g, h, ..] => (10, u64::from_be_bytes([a, b, c, d, e, f, g, h]) as usize),
                [_, len @ ..126, ..] => (2, usize::from(len)),
                _ => return,
            };
            if self.read.len() < head + len {
                return;
            }
            match self.read[0] {
                0x81 => self.texts.push(len),
                0x89 => {
                    self.pings += 1;
                    if self.answers {
                        self.io.write_all(&frame(0xa, &self.read[head..head + len])).await.unwrap();
                    }
                }
                other => panic!("a frame {other:x}"),
            }
            self.read.drain(..head + len);
        }
    }
}

/// Returns an application with a hub that keeps many large events, and its endpoint.
fn app(set: impl FnOnce(EndpointBuilder) -> EndpointBuilder) -> (App, Endpoint) {
    let retain = Retention::count(100).bytes(64 << 20);
    let app = App::with_hub(LocalHub::builder().retain(retain).build());
    let endpoint = set(app.builder()).build();
    (app, endpoint)
}

#[tokio::test(start_paused = true)]
async fn websocket_that_answers_a_ping_behind_large_events_late_stays() {
    for http in [Http::One, Http::Two] {
        let (app, endpoint) = app(|builder| builder.ping(2 * SECOND, SECOND));
        let mut client = SlowClient::connect(&endpoint, http, 4 << 20).await;
        pass(STEP).await;
        (0..2).for_each(|_| drop(app.publish(&"x".repeat(LARGE))));
        client.read(200_000, 12 * SECOND).await;
        assert_eq!(client.texts, [LARGE, LARGE], "{http:?}");
        assert!(client.pings >= 2, "{http:?}: {}", client.pings);
        // Bytes that were sent before an answered ping do not extend the time.
        client.answers = false;
        client.read(200_000, 3 * SECOND).await;
        assert_eq!((endpoint.session_count(), endpoint.stats().left_for(SessionEnd::Stalled)), (0, 1), "{http:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn websocket_that_reads_and_answers_nothing_is_ended_when_its_bytes_are_due() {
    for http in [Http::One, Http::Two] {
        let (app, endpoint) = app(|builder| builder.ping(2 * SECOND, SECOND).write_timeout(SECOND));
        let mut client = SlowClient::connect(&endpoint, http, 4 << 20).await;
        client.answers = false;
        pass(STEP).await;
        (0..2).for_each(|_| drop(app.publish(&"x".repeat(LARGE))));
        // 1,600,000 bytes at 65,536 a second.
        client.read(200_000, 26 * SECOND).await;
        assert_eq!((client.texts.len(), endpoint.session_count()), (2, 1), "{http:?}");
        client.read(200_000, 3 * SECOND).await;
        assert_eq!(endpoint.session_count(), 0, "{http:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn websocket_that_takes_nothing_is_ended_by_the_write_timeout() {
    for http in [Http::One, Http::Two] {
        let (app, endpoint) = app(|builder| builder.ping(2 * SECOND, SECOND).write_timeout(SECOND));
        let client = SlowClient::connect(&endpoint, http, 64 * 1024).await;
        pass(STEP).await;
        (0..4).for_each(|_| drop(app.publish(&"x".repeat(LARGE))));
        pass(3 * SECOND).await;
        assert_eq!((endpoint.session_count(), endpoint.stats().stalled), (0, 1), "{http:?}");
        drop(client);
    }
}

/// Reads at the documented minimum rate: one frame of 64 KiB within each write timeout.
#[tokio::test(start_paused = true)]
async fn websocket_that_takes_large_events_slowly_gets_them() {
    for http in [Http::One, Http::Two] {
        let (app, endpoint) = app(|builder| builder.write_timeout(SECOND));
        let mut client = SlowClient::connect(&endpoint, http, 16 * 1024).await;
        pass(STEP).await;
        (0..5).for_each(|_| drop(app.publish(&"x".repeat(LARGE))));
        client.read(100_000, 60 * SECOND).await;
        assert_eq!((client.texts.len(), endpoint.session_count()), (5, 1), "{http:?}");
    }
}

/// hyper takes a write of any size, so a batch is written in pieces too.
#[tokio::test(start_paused = true)]
async fn websocket_with_a_large_batch_takes_large_events_slowly() {
    for http in [Http::One, Http::Two] {
        let (app, endpoint) = app(|builder| builder.write_timeout(SECOND).max_batch_bytes(1 << 20));
        let mut client = SlowClient::connect(&endpoint, http, 16 * 1024).await;
        pass(STEP).await;
        for _ in 0..6 {
            app.publish(&"x".repeat(LARGE));
            client.read(100_000, STEP).await;
        }
        client.read(100_000, 60 * SECOND).await;
        assert_eq!((client.texts.len(), endpoint.session_count()), (6, 1), "{http:?}");
    }
}
