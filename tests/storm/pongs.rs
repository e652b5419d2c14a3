use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http2;
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidings::Transport;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use crate::figures::Figures;
use crate::pause;
use crate::process::{CEILING, Process};
use crate::slow::{RECEIVE_BUFFER, SEND_BUFFER};
use crate::wire::{frame, request};

/// Size of one event in bytes, and the bytes that a slow client reads in a second: several seconds of the event precede
/// a
/// ping, in the buffers of the sockets or in the window of the stream.
const SIZE: usize = 160_000;
const RATE: usize = 20_000;
const WINDOW: u32 = 64 * 1024;
const PING: Duration = Duration::from_secs(2);
const PONG: Duration = Duration::from_secs(1);

/// Client of an open WebSocket.
trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// Padding bytes and pings that a client has read.
#[derive(Default)]
struct Read {
    padding: AtomicUsize,
    pings: AtomicUsize,
}

/// One large event for WebSockets over HTTP/1.1 and HTTP/2 that read slowly. One client answers each ping when it reads
/// it,
/// another answers none, and a third reads nothing.
pub(crate) async fn run(stall: &str, figures: &mut Figures) -> Result<(), String> {
    let (ping, pong) = (PING.as_millis().to_string(), PONG.as_millis().to_string());
    let serve = ["serve", "--write-stall", stall, "--send-buffer", SEND_BUFFER, "--ping", &ping, "--pong", &pong];
    let mut server = Process::start(None, &serve)?;
    let address = server.address().await?;
    let (mut all, mut dead) = (Vec::new(), Vec::new());
    for http in ["HTTP/1.1", "HTTP/2"] {
        for answers in [true, false] {
            let (socket, read) = (open(&address, http).await.map_err(|error| error.to_string())?, Arc::default());
            tokio::spawn(follow(socket, answers, Arc::clone(&read)));
            all.push((http, answers, read));
        }
        dead.push(open(&address, http).await.map_err(|error| error.to_string())?);
    }
    server.until(0, |stats| stats["live"] == 6).await?;
    server.ask(&format!("publish --rate 1 --size {SIZE} --each 1")).await?;
    server.until(0, |stats| stats["live"] == 2).await?;
    for (http, answers, read) in &all {
        let began = Instant::now();
        let wanted = if *answers { 4 } else { 1 };
        while began.elapsed() < CEILING && read.pings.load(Ordering::Relaxed) < wanted {
            pause(Duration::from_millis(50)).await;
        }
        let (padding, pings) = (read.padding.load(Ordering::Relaxed), read.pings.load(Ordering::Relaxed));
        let what =
            format!("{http}: pings of a WebSocket that {}", if *answers { "answers" } else { "does not answer" });
        figures.holds(&what, format!("{pings}, {padding} bytes"), pings >= wanted && padding >= SIZE - 128);
    }
    let live = server.stats(0).await?["live"].as_u64().unwrap_or(0);
    figures.exactly("WebSockets that read slowly and answer, and stay", live, 2);
    drop(dead);
    Ok(())
}

async fn open(address: &str, http: &str) -> io::Result<Box<dyn Socket>> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    let address = address.parse().map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
    let stream = socket.connect(address).await?;
    if http == "HTTP/2" { over_http2(stream).await.map_err(io::Error::other) } else { over_http1(stream).await }
}

async fn over_http1(mut stream: TcpStream) -> io::Result<Box<dyn Socket>> {
    stream.write_all(request(Transport::WebSocket, "storm/0", None).as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(Box::new(stream))
}

async fn over_http2(stream: TcpStream) -> Result<Box<dyn Socket>, hyper::Error> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let (mut client, connection) = builder.initial_stream_window_size(WINDOW).handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = hyper::Method::CONNECT;
    *request.uri_mut() = hyper::Uri::from_static("http://storm/events?topic=storm/0");
    request.headers_mut().insert("sec-websocket-version", hyper::header::HeaderValue::from_static("13"));
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    let upgraded = hyper::upgrade::on(client.send_request(request).await?).await?;
    // The connection ends with its last handle.
    tokio::spawn(async move {
        let _client = client;
        std::future::pending::<()>().await;
    });
    Ok(Box::new(TokioIo::new(upgraded)))
}

/// Reads at the rate until the connection ends.
async fn follow(mut socket: Box<dyn Socket>, answers: bool, read: Arc<Read>) -> io::Result<()> {
    let (mut frames, mut buffer, mut bytes, began) = (Frames::default(), vec![0; 4 * 1024], 0, Instant::now());
    loop {
        let some = socket.read(&mut buffer).await?;
        if some == 0 {
            return Ok(());
        }
        read.padding.fetch_add(buffer[..some].iter().filter(|&&byte| byte == b'x').count(), Ordering::Relaxed);
        let pings = frames.pings(&buffer[..some]);
        for _ in 0..if answers { pings } else { 0 } {
            socket.write_all(&frame(0xa, true, b"")).await?;
        }
        read.pings.fetch_add(pings, Ordering::Relaxed);
        bytes += some;
        let due = Duration::from_secs_f64(bytes as f64 / RATE as f64);
        pause(due.saturating_sub(began.elapsed())).await;
    }
}

/// Boundaries of the server's frames.
#[derive(Default)]
struct Frames {
    head: Vec<u8>,
    left: u64,
}

impl Frames {
    /// Reads bytes. Returns the number of pings that begin in them.
    fn pings(&mut self, mut bytes: &[u8]) -> usize {
        let mut pings = 0;
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.left > 0 {
                let here = self.left.min(bytes.len() as u64);
                self.left -= here;
                bytes = &bytes[here as usize..];
                continue;
            }
            bytes = rest;
            self.head.push(byte);
            let length = match self.head[..] {
                [_, 126, a, b] => u16::from_be_bytes([a, b]).into(),
                [_, 127, a, b, c, d, e, f, g, h] => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
                [_, length @ ..126] => length.into(),
                _ => continue,
            };
            pings += usize::from(self.head[0] == 0x89);
            self.head.clear();
            self.left = length;
        }
        pings
    }
}
