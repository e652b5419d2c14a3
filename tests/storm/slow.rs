use std::io::{self, ErrorKind};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidings::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::args::Args;
use crate::figures::Figures;
use crate::pause;
use crate::pongs;
use crate::process::{CEILING, Process};
use crate::wire::request;

/// Small buffers of the sockets: otherwise the kernel would take the whole event.
pub(crate) const SEND_BUFFER: &str = "32768";
pub(crate) const RECEIVE_BUFFER: u32 = 16 * 1024;
/// Transports that HTTP/2 carries as bodies.
const BODIES: [Transport; 4] = [Transport::ShortPoll, Transport::LongPoll, Transport::Chunked, Transport::Sse];
/// Clients that read nothing: one of each transport but the short poll over HTTP/1, and of each stream over HTTP/2.
const DEAD: u64 = 4 + 3;
/// Those clients, and the readers that wait for the event.
const WAITING: u64 = 2 * DEAD;

/// One large event, for clients that read slowly and steadily and for clients that read nothing; then with pings.
pub(crate) async fn run(args: &mut Args, figures: &mut Figures) -> Result<(), String> {
    let (size, rate) = (args.or("size", 1_000_000_usize)?, args.or("rate", 200_000_usize)?);
    let stall = args.or("write-stall", 5_000_u64)?.to_string();
    let mut server = Process::start(None, &["serve", "--write-stall", &stall, "--send-buffer", SEND_BUFFER])?;
    let address = server.address().await?;
    let cursor = server.cursor().await?;
    let mut readers = JoinSet::new();
    let mut dead = Vec::new();
    for &transport in Transport::ALL {
        let (address, cursor) = (address.clone(), cursor.clone());
        // A short poll is sent when the event is published.
        let begun =
            if transport == Transport::ShortPoll { None } else { Some(connect(&address, transport, &cursor).await) };
        if transport != Transport::ShortPoll {
            dead.push(connect(&address, transport, &cursor).await.map_err(|error| error.to_string())?);
        }
        readers.spawn(async move {
            let began = Instant::now();
            let read = async {
                let stream = match begun {
                    Some(stream) => stream?,
                    None => {
                        pause(Duration::from_millis(500)).await;
                        connect(&address, transport, &cursor).await?
                    }
                };
                read(stream, size, rate).await
            };
            let read = timeout(CEILING, read).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
            (transport.as_str().to_owned(), read, began.elapsed())
        });
    }
    let mut unread = Vec::new();
    for transport in BODIES {
        let (address, cursor) = (address.clone(), cursor.clone());
        let is_held = transport != Transport::ShortPoll;
        if is_held {
            unread.push(tokio::spawn(ask_http2(address.clone(), transport, cursor.clone())));
        }
        readers.spawn(async move {
            let began = Instant::now();
            let read = async {
                if !is_held {
                    pause(Duration::from_millis(500)).await;
                }
                read_http2(ask_http2(address, transport, cursor).await?, size, rate).await
            };
            let read = timeout(CEILING, read).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
            (format!("{} over HTTP/2", transport.as_str()), read, began.elapsed())
        });
    }
    server.until(0, |stats| stats["live"] == WAITING).await?;
    server.ask(&format!("publish --rate 1 --size {size} --each 1")).await?;
    while let Some(done) = readers.join_next().await {
        let (client, read, took) = done.map_err(|error| error.to_string())?;
        let reported = read.as_ref().map_or_else(ToString::to_string, |()| "arrived".to_owned());
        let what = format!("{client}: {size} bytes at {rate} a second");
        figures.holds(&what, format!("{reported}, {:.1} s", took.as_secs_f64()), read.is_ok());
    }
    server.until(0, |stats| stats["live"] == 0).await?;
    // The session of a held poll ends with its answer, so its reply is counted later than the sessions.
    let (stats, _) = server.settled(0, |stats| stats["stalled"] == DEAD).await?;
    figures.exactly(
        "clients that read nothing, ended by the write timeout",
        stats["stalled"].as_u64().unwrap_or(0),
        DEAD,
    );
    drop((dead, unread));
    steady(figures).await?;
    pongs::run(&stall, figures).await
}

/// Events of some megabytes, for clients that read slowly and steadily over default sockets: the buffers grow so large
/// that
/// the kernel takes nothing more for many seconds, unless an option limits them.
async fn steady(figures: &mut Figures) -> Result<(), String> {
    let (rate, watch) = (100_000, Duration::from_secs(15));
    let mut server = Process::start(None, &["serve", "--write-stall", "4000", "--retain-bytes", "67108864"])?;
    let (address, cursor) = (server.address().await?, server.cursor().await?);
    let mut readers = JoinSet::new();
    for transport in [Transport::Chunked, Transport::Sse, Transport::WebSocket] {
        let mut stream = TcpStream::connect(&address).await.map_err(|error| error.to_string())?;
        let request = request(transport, "storm/0", Some(&cursor));
        stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
        readers.spawn(async move { timeout(watch, read(stream, usize::MAX, rate)).await.is_err() });
    }
    server.until(0, |stats| stats["live"] == 3).await?;
    server.ask("publish --rate 10 --size 1000000 --each 6").await?;
    let mut still_reading = 0;
    while let Some(done) = readers.join_next().await {
        still_reading += u64::from(done.map_err(|error| error.to_string())?);
    }
    figures.exactly(
        "streams and WebSockets that read steadily, with the kernel's own buffers, and go on",
        still_reading,
        3,
    );
    Ok(())
}

/// Requests the topic on its own connection, on which each stream has a window of 16 KiB.
async fn ask_http2(address: String, transport: Transport, cursor: String) -> io::Result<Response<Incoming>> {
    let stream = TcpStream::connect(&address).await?;
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(RECEIVE_BUFFER);
    let (mut client, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    let target = format!("http://storm/events?topic=storm/0&transport={}&cursor={cursor}&wait=50", transport.as_str());
    let request = Request::get(target).body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
    client.send_request(request).await.map_err(io::Error::other)
}

/// Reads a body at this rate until the event's padding is complete.
async fn read_http2(answer: Response<Incoming>, size: usize, rate: usize) -> io::Result<()> {
    let (mut body, mut padding, mut bytes, began) = (answer.into_body(), 0, 0, Instant::now());
    while padding < size - 128 {
        let frame = body.frame().await.ok_or(ErrorKind::UnexpectedEof)?.map_err(io::Error::other)?;
        let data = frame.into_data().unwrap_or_default();
        padding += data.iter().filter(|&&byte| byte == b'x').count();
        bytes += data.len();
        let due = Duration::from_secs_f64(bytes as f64 / rate as f64);
        pause(due.saturating_sub(began.elapsed())).await;
    }
    Ok(())
}

async fn connect(address: &str, transport: Transport, cursor: &str) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    let address = address.parse().map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
    let mut stream = socket.connect(address).await?;
    stream.write_all(request(transport, "storm/0", Some(cursor)).as_bytes()).await?;
    Ok(stream)
}

/// Reads at this rate, in bytes a second, until the event's padding is complete.
async fn read(mut stream: TcpStream, size: usize, rate: usize) -> io::Result<()> {
    let (mut padding, mut bytes, began) = (0, 0, Instant::now());
    let mut buffer = vec![0; 8 * 1024];
    while padding < size - 128 {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        padding += buffer[..read].iter().filter(|&&byte| byte == b'x').count();
        bytes += read;
        let due = Duration::from_secs_f64(bytes as f64 / rate as f64);
        pause(due.saturating_sub(began.elapsed())).await;
    }
    Ok(())
}
