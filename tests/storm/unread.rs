use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidings::Transport;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::args::Args;
use crate::figures::Figures;
use crate::pause;
use crate::process::{CEILING, Process};

/// Limit for a stream of hyper's HTTP/2 server that its client does not read, in KiB.
const STREAM: f64 = 6.0;
/// Limit in MiB of memory that stays: tables keep their size, and the allocator its pages.
const LEFT: f64 = 4.0;

/// HTTP/2 clients that open no window: the server may send no byte of a body. Each reply carries its own snapshot.
pub(crate) async fn run(args: &mut Args, figures: &mut Figures) -> Result<(), String> {
    let (connections, streams) = (args.or("connections", 10_usize)?, args.or("streams", 200_usize)?);
    let (state, stall) = (args.or("state", 64 * 1024_usize)?, args.or("write-stall", 2_000_u64)?);
    for transport in [Transport::ShortPoll, Transport::LongPoll, Transport::Sse, Transport::Chunked] {
        zero_window(transport, connections, streams, state, stall, figures).await?;
    }
    Ok(())
}

async fn zero_window(
    transport: Transport,
    connections: usize,
    streams: usize,
    state: usize,
    stall: u64,
    figures: &mut Figures,
) -> Result<(), String> {
    let (stall, bytes) = (stall.to_string(), state.to_string());
    let mut server = Process::start(None, &["serve", "--write-stall", &stall, "--state", &bytes])?;
    let address = server.address().await?;
    let before = server.heap().await?;
    let (mut clients, mut most) = (Vec::new(), before);
    for _ in 0..connections {
        let client = connect(&address).await?;
        let mut asked = JoinSet::new();
        for _ in 0..streams {
            asked.spawn(ask(client.clone(), transport));
        }
        let mut answers = Vec::new();
        while let Some(answer) = asked.join_next().await {
            answers.push(answer.map_err(|error| error.to_string())??);
        }
        most = most.max(server.heap().await?);
        clients.push((client, answers));
    }
    let (began, all) = (Instant::now(), (connections * streams) as u64);
    let name = transport.as_str();
    loop {
        let stats = server.stats(0).await?;
        let heap = server.heap().await?;
        most = most.max(heap);
        if stats["stalled"] == all || began.elapsed() > CEILING {
            figures.exactly(
                &format!("{name}: bodies ended by the write timeout"),
                stats["stalled"].as_u64().unwrap_or(0),
                all,
            );
            figures.exactly(&format!("{name}: and still held by hyper"), stats["held"].as_u64().unwrap_or(0), all);
            figures.exactly(&format!("{name}: sessions left"), stats["live"].as_u64().unwrap_or(u64::MAX), 0);
            break;
        }
        pause(Duration::from_millis(50)).await;
    }
    let heap = server.heap().await? - before;
    figures.note(&format!("{name}: heap at most"), format!("{:.1} MiB", (most - before) / 1024.0));
    figures.at_most(&format!("{name}: heap of each unread stream"), heap / all as f64, STREAM, "KiB");
    drop(clients);
    server.until(0, |stats| stats["held"] == 0).await?;
    let left = (server.heap().await? - before) / 1024.0;
    figures.at_most(&format!("{name}: heap that is left after the clients have disconnected"), left, LEFT, "MiB");
    Ok(())
}

async fn connect(address: &str) -> Result<SendRequest<Empty<Bytes>>, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(0);
    let handshake = builder.handshake(TokioIo::new(stream)).await;
    let (client, connection) = handshake.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    Ok(client)
}

async fn ask(mut client: SendRequest<Empty<Bytes>>, transport: Transport) -> Result<Response<Incoming>, String> {
    client.ready().await.map_err(|error| error.to_string())?;
    // A malformed cursor gets the snapshot.
    let target = format!("http://storm/events?topic=storm/0&transport={}&cursor=x&wait=20", transport.as_str());
    let request = Request::get(target).body(Empty::new()).map_err(|error| error.to_string())?;
    let answer = client.send_request(request).await.map_err(|error| error.to_string())?;
    match answer.status().as_u16() {
        200 => Ok(answer),
        status => Err(format!("{status} to a {}", transport.as_str())),
    }
}
