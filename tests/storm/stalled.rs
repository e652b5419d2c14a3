use std::pin::pin;
use std::time::Duration;

use tidings::Transport;
use tokio::time::Instant;

use crate::args::Args;
use crate::figures::{Figures, quietest};
use crate::follow::{Ledger, follow};
use crate::process::{CEILING, Process};
use crate::{pause, streams};

/// Settings of the server, and its load.
#[derive(Debug, Clone)]
struct Load {
    clients: u32,
    /// Number of times that all stalled readers are replaced by new ones, plus one.
    waves: u64,
    /// Time for which the fast reader is measured without stalled readers.
    seconds: u64,
    stall: Duration,
    /// Events a second, and their length.
    rate: u64,
    size: usize,
}

/// Results of one round.
#[derive(Default)]
struct Round {
    /// Delays of the fast reader, in milliseconds, in windows of a second.
    delays: Vec<Vec<f64>>,
    /// 99th percentile of the publisher, in microseconds.
    publish: f64,
    /// With full history before the stalled readers, and the maximum with them.
    before: Memory,
    most: Memory,
    /// Heap after they have disconnected, in KiB.
    after: f64,
    /// Seconds of the server's processor for each second.
    processor: f64,
    waves: Vec<Wave>,
}

/// End of one group of stalled readers.
struct Wave {
    /// Streams and polls that sent their requests, and errors of the others.
    streams: u64,
    polls: u64,
    wrong: u64,
    /// Streams that the write timeout ended, and sessions that it did not end within [`CEILING`].
    ended: u64,
    overdue: u64,
    /// Time from the last client's request to the end of the last session.
    took: Duration,
}

/// In KiB.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    resident: f64,
    heap: f64,
}

/// Time in which all stalled readers of a group connect.
const RAMP: Duration = Duration::from_secs(2);
/// Time for the server to settle before the measurement.
const WARM: Duration = Duration::from_secs(1);
/// Small buffers of a socket: otherwise the kernel would take megabytes for each before it stalls.
const SEND_BUFFER: &str = "32768";
const HISTORY: usize = 2 << 20;
/// Limit in MiB of memory that stays: history and its caches have changed, and tables of sessions keep their size.
const LEFT: f64 = 4.0;

/// Readers of the five transports that send requests and read nothing, while another client reads and events are
/// published.
pub(crate) async fn run(args: &mut Args, figures: &mut Figures) -> Result<(), String> {
    let load = Load {
        clients: args.or("clients", 2_000)?,
        waves: args.or("waves", 1)?,
        seconds: args.or("seconds", 3)?,
        stall: Duration::from_millis(args.or("write-stall", 2_000)?),
        rate: args.or("rate", 200)?,
        size: args.or("size", 4_096)?,
    };
    let alone = round(&Load { clients: 0, waves: 0, ..load.clone() }).await?;
    let beside = round(&load).await?;

    let heap = beside.most.heap - beside.before.heap;
    figures.note("heap for each stalled reader", format!("{:.1} KiB", heap / f64::from(load.clients)));
    let resident = beside.most.resident - beside.before.resident;
    figures.at_most("growth", resident / 1024.0, load.bound() / 1024.0, "MiB");
    let left = beside.after - beside.before.heap;
    figures.at_most("heap that is left after they have disconnected", left / 1024.0, LEFT, "MiB");
    for wave in &beside.waves {
        figures.exactly("stalled readers that sent their requests", wave.streams + wave.polls, load.clients.into());
        figures.exactly("stalled readers that could not send", wave.wrong, 0);
        figures.exactly("streams ended by the write timeout", wave.ended, wave.streams);
        figures.exactly("their sessions that outlive it", wave.overdue, 0);
        figures.note("the last session ended after", format!("{:.1} s", wave.took.as_secs_f64()));
    }

    let [without, with] = [&alone, &beside].map(|round| 100.0 * round.processor);
    figures.note("server's processor", format!("{with:.1} %, without {without:.1}"));
    for (name, share) in [("median", 0.5), ("p99", 0.99)] {
        let [without, with] = [&alone, &beside].map(|round| quietest(&round.delays, share));
        figures.note(&format!("fast reader, {name}"), format!("{with:.2} ms, without {without:.2}"));
    }
    figures.note("publish, p99", format!("{:.1} µs, without {:.1}", beside.publish, alone.publish));
    streams::run(figures).await
}

impl Load {
    /// Returns the maximum age of a stalled reader's session on a quiet machine.
    fn life(&self) -> Duration {
        RAMP + self.stall.mul_f64(1.25) + Duration::from_millis(2_500)
    }

    /// Returns the maximum growth of memory, in KiB.
    fn bound(&self) -> f64 {
        // A connection of hyper with its task and session, and its initial read buffer of 8 KiB.
        let connection = 24.0;
        // The shared part: history, and events that are published while a session may hold them, in each of the four
        // formats, as single events and joined.
        let published = self.rate as f64 * self.size as f64 * self.life().as_secs_f64();
        let shared = (HISTORY as f64 + published) / 1024.0 * 4.0 * 2.0;
        f64::from(self.clients) * connection + shared
    }

    fn serve(&self) -> Result<Process, String> {
        let (stall, history) = (self.stall.as_millis().to_string(), HISTORY.to_string());
        Process::start(
            None,
            &[
                "serve",
                "--write-stall",
                &stall,
                "--send-buffer",
                SEND_BUFFER,
                "--retain-bytes",
                &history,
                "--retain",
                "100000",
            ],
        )
    }

    fn crowd(&self, address: &str, cursor: &str) -> Result<Process, String> {
        let (clients, ramp) = (self.clients.to_string(), RAMP.as_millis().to_string());
        Process::start(
            None,
            &[
                "crowd",
                "--kind",
                "stalled",
                "--address",
                address,
                "--cursor",
                cursor,
                "--clients",
                &clients,
                "--ramp",
                &ramp,
            ],
        )
    }
}

async fn round(load: &Load) -> Result<Round, String> {
    let mut server = load.serve()?;
    let address = server.address().await?;
    let cursor = server.cursor().await?;
    let fast = tokio::spawn({
        let (address, cursor) = (address.clone(), cursor.clone());
        let mut ledger = Ledger { delays: Some(Vec::new()), ..Ledger::new(&cursor) };
        async move { follow(&address, Transport::Sse, "storm/0", &mut ledger).await.map(|_| ledger) }
    });
    // History is full before the measurement.
    let full = HISTORY / load.size;
    server.ask(&format!("publish --rate 2000 --size {} --each {full}", load.size)).await?;
    while server.ask("published").await?["over"] != true {
        pause(Duration::from_millis(20)).await;
    }
    server.ask(&format!("publish --rate {} --size {} --each {}", load.rate, load.size, u32::MAX)).await?;
    pause(WARM).await;

    let before = memory(&mut server).await?;
    let mut round = Round { before, most: before, ..Round::default() };
    server.ask("forget").await?;
    let (came, began, busy) = (crate::now(), Instant::now(), server.processor()?);
    let mut crowd = load.crowd(&address, &cursor)?;
    for _ in 0..load.waves {
        let wave = wave(&mut server, &mut crowd, &mut round).await?;
        round.waves.push(wave);
    }
    if load.waves == 0 {
        pause(Duration::from_secs(load.seconds)).await;
    }
    round.processor = (server.processor()? - busy) / began.elapsed().as_secs_f64();
    round.publish = server.ask("published").await?["p99"].as_f64().unwrap_or(f64::INFINITY);
    let left = crate::now();
    drop(crowd);

    // Publishing goes on until the crowd has ended: polls that were pipelined behind others end with the next event.
    server.until(0, |stats| stats["live"] == 1 || fast.is_finished()).await?;
    server.ask("stop").await?;
    let ledger = fast.await.map_err(|error| error.to_string())?.map_err(|error| format!("the fast reader: {error}"))?;
    let published = server.ask("published").await?["each"].as_u64().unwrap_or(u64::MAX);
    if ledger.lost + ledger.duplicated > 0 || ledger.last != published {
        return Err(format!("the fast reader: {ledger:?}, of {published} events"));
    }
    server.until(0, |stats| stats["live"] == 0).await?;
    let stats = server.ask("stats").await?;
    if stats["hub"]["subscriptions"] != 0 {
        return Err(format!("all are gone, and the server holds on to {stats}"));
    }
    round.after = server.heap_within(before.heap + LEFT * 1024.0).await?;
    for (at, delay) in ledger.delays.unwrap_or_default() {
        if (came..left).contains(&at) {
            let window = ((at - came) / 1_000_000) as usize;
            round.delays.resize_with(round.delays.len().max(window + 1), Vec::new);
            round.delays[window].push(delay as f64 / 1_000.0);
        }
    }
    Ok(round)
}

/// Connects one group of stalled readers, and waits until the write timeout has ended all their sessions.
async fn wave(server: &mut Process, crowd: &mut Process, round: &mut Round) -> Result<Wave, String> {
    let earlier: u64 = round.waves.iter().map(|wave| wave.ended).sum();
    crowd.tell("wave").await?;
    let reported = {
        let mut asked = pin!(crowd.read());
        loop {
            tokio::select! {
                reported = &mut asked => break reported?,
                () = pause(SAMPLE) => round.most = round.most.or(memory(server).await?),
            }
        }
    };
    let count = |name: &str| reported[name].as_u64().unwrap_or(0);
    let (streams, polls) = (count("streams"), count("polls"));
    let wrong = reported["wrong"].as_array().map_or(u64::MAX, |wrong| wrong.len() as u64);
    let asked = Instant::now();
    loop {
        round.most = round.most.or(memory(server).await?);
        let stats = server.stats(0).await?;
        let count = |name: &str| stats[name].as_u64().unwrap_or(0);
        // The fast reader stays connected.
        let (ended, overdue) = (count("stalled").saturating_sub(earlier), count("live").saturating_sub(1));
        let took = asked.elapsed();
        if (ended >= streams && overdue == 0) || took > CEILING {
            return Ok(Wave { streams, polls, wrong, ended, overdue, took });
        }
        pause(SAMPLE).await;
    }
}

/// Interval at which memory is measured.
const SAMPLE: Duration = Duration::from_millis(50);

impl Memory {
    /// Returns the larger of each.
    fn or(self, other: Self) -> Self {
        Self { resident: self.resident.max(other.resident), heap: self.heap.max(other.heap) }
    }
}

async fn memory(server: &mut Process) -> Result<Memory, String> {
    Ok(Memory { resident: server.memory()?, heap: server.heap().await? })
}
