use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::figures::Figures;
use crate::pause;
use crate::process::{CEILING, Process};

const CONNECTIONS: usize = 10;
/// Half of hyper's limit for a connection.
const STREAMS: usize = 100;
/// Window of a stream: smaller than an event.
const WINDOW: u32 = 1024;
const STALL: Duration = Duration::from_secs(2);
/// Limit for the heap of an unread stream, in KiB: the batch of which it took a part, and its own state. Batches are
/// shared,
/// so that this many streams hold less.
const BOUND: f64 = 64.0 + 16.0;
/// Limit in MiB for the heap after all streams have ended.
const LEFT: f64 = 4.0;

/// Opens HTTP/2 streams with closed windows, beside others of their connection that are read.
pub(crate) async fn run(figures: &mut Figures) -> Result<(), String> {
    let stall = STALL.as_millis().to_string();
    let mut server = Process::start(None, &["serve", "--write-stall", &stall])?;
    let address = server.address().await?;
    // All begin with the whole history, so that each takes as much at once as it may.
    let target = format!("http://storm/events?topic=storm/0&cursor={}", server.cursor().await?);
    server.ask("publish --rate 100 --size 4096 --each 800").await?;
    pause(Duration::from_secs(2)).await;
    let before = server.heap().await?;

    let (mut connections, mut unread, mut most) = (Vec::new(), Vec::new(), before);
    for _ in 0..CONNECTIONS {
        let mut connection = connect(&address).await?;
        for stream in 0..STREAMS {
            let media = if stream % 2 == 0 { "text/event-stream" } else { "application/x-ndjson" };
            unread.push(ask(&mut connection, &target, media).await?);
        }
        connections.push(connection);
        most = most.max(server.heap().await?);
    }
    // On a busy machine the first ones have ended before the last ones are open.
    let mut most = most.max(server.heap().await?);
    let all = unread.len() as u64;
    let came = server.stats(0).await?["subscribed"].as_u64().unwrap_or(0);
    figures.exactly("HTTP/2 streams", came, all);
    let began = Instant::now();
    let (ended, live) = loop {
        most = most.max(server.heap().await?);
        let stats = server.stats(0).await?;
        let [ended, live] = ["stalled", "live"].map(|name| stats[name].as_u64().unwrap_or(u64::MAX));
        if (ended, live) == (all, 0) || began.elapsed() > CEILING {
            break (ended, live);
        }
        pause(Duration::from_millis(50)).await;
    };
    figures.at_most("heap for each HTTP/2 stream", (most - before) / all as f64, BOUND, "KiB");
    figures.exactly("HTTP/2 streams ended by the write timeout", ended, all);
    figures.exactly("their sessions that outlive it", live, 0);
    figures.note("the last session ended after", format!("{:.1} s", began.elapsed().as_secs_f64()));
    for connection in &mut connections {
        let poll = ask(connection, &target, "application/json").await?.into_body().collect().await;
        poll.map_err(|error| format!("a poll beside stalled streams: {error}"))?;
    }
    drop((connections, unread));
    let left = server.heap_within(before + LEFT * 1024.0).await? - before;
    figures.at_most("heap that is left after they have disconnected", left / 1024.0, LEFT, "MiB");
    Ok(())
}

async fn connect(address: &str) -> Result<SendRequest<Empty<Bytes>>, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let mut http = Builder::new(TokioExecutor::new());
    http.initial_stream_window_size(WINDOW).initial_connection_window_size(1 << 20);
    let (client, connection) = http.handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    Ok(client)
}

async fn ask(client: &mut SendRequest<Empty<Bytes>>, target: &str, media: &str) -> Result<Response<Incoming>, String> {
    let request = Request::get(target).header("accept", media);
    let request = request.body(Empty::new()).map_err(|error| error.to_string())?;
    client.send_request(request).await.map_err(|error| error.to_string())
}
