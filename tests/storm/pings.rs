use std::io;
use std::time::Duration;

use tidings::Transport;
use tokio::time::{Instant, timeout};

use crate::args::Args;
use crate::figures::Figures;
use crate::pause;
use crate::process::{CEILING, Process};
use crate::wire::{Wire, frame, request};

/// Frames that a client sends repeatedly, and the close that they cause.
struct Flood {
    of: &'static str,
    first: Vec<u8>,
    frames: Vec<u8>,
    /// Code of the Close; `None`: the client is not closed, but not read either.
    code: Option<u16>,
}

/// Time for which a flood is watched that is not closed.
const WATCH: Duration = Duration::from_millis(2_500);

/// WebSockets that send up to a gigabyte and never read.
pub(crate) async fn run(args: &mut Args, figures: &mut Figures) -> Result<(), String> {
    let most = args.or("bytes", 1_usize << 30)?;
    // A short heartbeat: behind unread bytes, only the heartbeat detects that the client is gone.
    let mut server = Process::start(None, &["serve", "--ping", "1000", "--pong", "1000"])?;
    let address = server.address().await?;
    // The first connection makes allocations that are made once.
    drop(open(&address).await.map_err(|error| error.to_string())?);
    for flood in floods() {
        server.until(0, |stats| stats["live"] == 0).await?;
        let before = server.memory()?;
        let began = Instant::now();
        let flooding = tokio::spawn(pour(address.clone(), flood.first.clone(), flood.frames.repeat(2_000), most));
        let (mut highest, mut closed) = (before, None);
        let watch = if flood.code.is_some() { CEILING } else { WATCH };
        while began.elapsed() < watch && closed.is_none() {
            pause(Duration::from_millis(5)).await;
            highest = highest.max(server.memory()?);
            if flooding.is_finished() {
                closed = Some(began.elapsed().as_secs_f64());
            }
        }
        let sent = match closed {
            Some(_) => flooding.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?,
            None => {
                flooding.abort();
                0
            }
        };
        figures.holds(&format!("{}: sent when that was no more possible", flood.of), sent, sent < most);
        figures.at_most(&format!("{}: growth", flood.of), highest - before, 1024.0, "KiB");
        match (flood.code, closed) {
            (None, closed) => figures.holds(&format!("{}: kept waiting", flood.of), closed.is_none(), closed.is_none()),
            (Some(code), closed) => {
                figures.holds(&format!("{}: closed", flood.of), closed.is_some(), closed.is_some());
                figures.note(&format!("{}: closed after", flood.of), format!("{:.2} s", closed.unwrap_or(f64::NAN)));
                let said = said(&address, &flood).await.map_err(|error| format!("{}: {error}", flood.of))?;
                figures.exactly(&format!("{}: closed with", flood.of), said.into(), code.into());
            }
        }
    }
    server.until(0, |stats| stats["live"] == 0).await
}

fn floods() -> [Flood; 6] {
    let none = Vec::new();
    [
        Flood { of: "pings", first: none.clone(), frames: frame(0x9, true, &[b'x'; 125]), code: Some(1008) },
        Flood { of: "empty pings", first: none.clone(), frames: frame(0x9, true, b""), code: Some(1008) },
        Flood { of: "pongs", first: none.clone(), frames: frame(0xa, true, b"x"), code: Some(1008) },
        // One message without an end: above its limit at the 65,537th byte.
        Flood {
            of: "1-byte fragments",
            first: frame(0x1, false, b"x"),
            frames: frame(0x0, false, b"x"),
            code: Some(1009),
        },
        // Or, of empty fragments, at the 65,537th one.
        Flood {
            of: "empty fragments",
            first: frame(0x1, false, b""),
            frames: frame(0x0, false, b""),
            code: Some(1008),
        },
        // These messages are valid, but the application takes its time for each.
        Flood { of: "tiny messages", first: none, frames: frame(0x1, true, b"x"), code: None },
    ]
}

/// Sends until it fails. Returns the number of bytes, of which the last ones may not have been sent.
async fn pour(address: String, first: Vec<u8>, frames: Vec<u8>, most: usize) -> io::Result<usize> {
    let mut wire = open(&address).await?;
    wire.send(first).await?;
    let mut sent = 0;
    while sent < most && wire.send(&frames).await.is_ok() {
        sent += frames.len();
    }
    Ok(sent)
}

/// Returns the close code for a client that sends as much as the violation needs, and then reads.
async fn said(address: &str, flood: &Flood) -> io::Result<u16> {
    let mut wire = open(address).await?;
    wire.send(&flood.first).await?;
    let enough = if flood.frames[0] & 0x08 == 0 { 65_537 } else { 64 };
    wire.send(flood.frames.repeat(enough)).await?;
    let reading = async {
        loop {
            if let (0x8, close) = wire.frame().await? {
                return Ok(u16::from_be_bytes([close[0], close[1]]));
            }
        }
    };
    timeout(CEILING, reading).await?
}

async fn open(address: &str) -> io::Result<Wire> {
    let mut wire = Wire::connect(address).await?;
    wire.send(request(Transport::WebSocket, "storm/0", None)).await?;
    wire.head().await?;
    Ok(wire)
}
