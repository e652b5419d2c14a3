use std::time::Duration;

use tidings::Transport;
use tokio::time::Instant;

use crate::args::Args;
use crate::figures::{Figures, quietest};
use crate::process::Process;
use crate::visit::{Ledger, visit};
use crate::{pause, streams};

/// What the server is set to, and what is done to it.
#[derive(Debug, Clone)]
struct Load {
    clients: u32,
    /// How long they are there.
    seconds: u64,
    stall: Duration,
    /// Events a second, and their length.
    rate: u64,
    size: usize,
}

/// What one round came to.
struct Round {
    /// Of the fast reader, in milliseconds, in windows of a second.
    delays: Vec<Vec<f64>>,
    /// Of the publisher, in microseconds.
    publish: f64,
    /// With full history and before the stalled readers, and at most while they are there.
    before: Memory,
    most: Memory,
    /// When they are gone.
    after: Memory,
    /// Seconds of the server's processor for each second.
    processor: f64,
    /// Sessions that were ended because their client took nothing, and those that were still there when they should
    /// have been.
    ended: u64,
    overdue: u64,
}

/// In KiB.
#[derive(Debug, Clone, Copy)]
struct Memory {
    resident: f64,
    heap: f64,
}

/// In how much time all stalled readers come.
const RAMP: Duration = Duration::from_secs(2);
/// For the server to settle before.
const WARM: Duration = Duration::from_secs(1);
/// A socket's own buffers are small, or the kernel would take megabytes for each before anything stalls.
const SEND_BUFFER: &str = "32768";
const HISTORY: usize = 2 << 20;
/// In MiB: history is another then, and so are its caches; and the tables of who is there keep their size.
const LEFT: f64 = 4.0;

/// Readers of the five transports that ask and take nothing, while another reads and events are published.
pub(crate) async fn run(args: &mut Args, figures: &mut Figures) -> Result<(), String> {
    let load = Load {
        clients: args.or("clients", 2_000)?,
        seconds: args.or("seconds", 5)?,
        stall: Duration::from_millis(args.or("write-stall", 2_000)?),
        rate: args.or("rate", 200)?,
        size: args.or("size", 4_096)?,
    };
    let rounds = args.or("rounds", 4_usize)?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    // One pair of rounds, unless the machine has other work: then the next ones may find it quieter.
    while beside.len() < rounds && !Times::of(&alone, &beside).hold() {
        alone.push(round(&Load { clients: 0, ..load.clone() }).await?);
        beside.push(round(&load).await?);
    }

    let most = |value: fn(&Round) -> f64| beside.iter().map(value).fold(0.0, f64::max);
    let heap = most(|round| round.most.heap - round.before.heap);
    figures.note("heap for each stalled reader", format!("{:.1} KiB", heap / f64::from(load.clients)));
    let resident = most(|round| round.most.resident - round.before.resident);
    figures.at_most("growth", resident / 1024.0, load.bound() / 1024.0, "MiB");
    let left = most(|round| round.after.heap - round.before.heap);
    figures.at_most("heap that is left of it when they are gone", left / 1024.0, LEFT, "MiB");
    let stallers = u64::from(load.clients) * 3 / 5;
    for round in &beside {
        figures.holds("streams ended by the write stall", round.ended, round.ended >= stallers);
        figures.exactly("sessions of theirs that outlive it", round.overdue, 0);
    }

    let processor = [&alone, &beside].map(|rounds| rounds.iter().map(|round| round.processor).sum::<f64>());
    let [without, with] = processor.map(|sum| 100.0 * sum / beside.len() as f64);
    figures.note("server's processor", format!("{with:.1} %, without {without:.1}"));
    let times = Times::of(&alone, &beside);
    figures.note("fast reader, median", format!("{:.2} ms, without {:.2}", times.median[1], times.median[0]));
    figures.at_most("fast reader, p99", times.reader[1], 1.2 * times.reader[0] + READER_TICK, "ms");
    figures.at_most("publish, p99", times.publish[1], 1.2 * times.publish[0] + PUBLISH_TICK, "µs");
    streams::run(figures).await
}

/// What is too little to be told from the machine's own unrest, in milliseconds and in microseconds.
const READER_TICK: f64 = 0.1;
const PUBLISH_TICK: f64 = 10.0;

/// Of the quietest second of all rounds, each without stalled readers and with them: other work of the machine slows
/// down some seconds, and what stalled readers cost all.
struct Times {
    median: [f64; 2],
    reader: [f64; 2],
    publish: [f64; 2],
}

impl Times {
    fn of(alone: &[Round], beside: &[Round]) -> Self {
        let windows = |rounds: &[Round]| rounds.iter().flat_map(|round| round.delays.clone()).collect::<Vec<_>>();
        let reader = |share| [alone, beside].map(|rounds| quietest(&windows(rounds), share));
        let publish = [alone, beside].map(|rounds| rounds.iter().map(|round| round.publish).fold(f64::NAN, f64::min));
        Self { median: reader(0.5), reader: reader(0.99), publish }
    }

    fn hold(&self) -> bool {
        let ([reader_without, reader], [publish_without, publish]) = (self.reader, self.publish);
        reader <= 1.2 * reader_without + READER_TICK && publish <= 1.2 * publish_without + PUBLISH_TICK
    }
}

impl Load {
    /// Who is alone need not wait for others to come.
    fn ramp(&self) -> Duration {
        if self.clients == 0 { Duration::ZERO } else { RAMP }
    }

    /// How long one stalled reader stays before it is replaced: longer than any session of one lives.
    fn life(&self) -> Duration {
        RAMP + self.stall.mul_f64(1.25) + Duration::from_millis(2_500)
    }

    /// What memory may grow by, in KiB.
    fn bound(&self) -> f64 {
        // A connection of hyper's with its task and session, and the read buffer of 8 KiB that it begins with.
        let connection = 24.0;
        // What is shared: history, and what was published as long as somebody may hold on to it, in each of the four
        // forms, as single events and joined.
        let published = self.rate as f64 * self.size as f64 * self.life().as_secs_f64();
        let shared = (HISTORY as f64 + published) / 1024.0 * 4.0 * 2.0;
        f64::from(self.clients) * connection + shared
    }
}

async fn round(load: &Load) -> Result<Round, String> {
    let (stall, history) = (load.stall.as_millis().to_string(), HISTORY.to_string());
    let mut server = Process::start(
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
    )?;
    let address = server.address().await?;
    let cursor = server.cursor().await?;
    // It goes on when the stalled readers are gone: polls that were held behind others end with the next event.
    let each = load.rate * ((WARM + load.ramp()).as_secs() + load.seconds + 1);
    let fast = tokio::spawn({
        let (address, cursor) = (address.clone(), cursor.clone());
        let mut ledger = Ledger {
            delays: Some(Vec::new()),
            goal: Some(each + (HISTORY / load.size) as u64),
            ..Ledger::new(&cursor)
        };
        async move { visit(&address, Transport::Sse, "storm/0", &mut ledger).await.map(|_| ledger) }
    });
    // History is full before anything is measured.
    let full = HISTORY / load.size;
    server.ask(&format!("publish --rate 2000 --size {} --each {full}", load.size)).await?;
    while server.ask("published").await?["over"] != true {
        pause(Duration::from_millis(20)).await;
    }
    server.ask(&format!("publish --rate {} --size {} --each {each}", load.rate, load.size)).await?;
    pause(WARM).await;

    let before = memory(&mut server).await?;
    let (clients, life) = (load.clients.to_string(), load.life().as_millis().to_string());
    let crowd = match load.clients {
        0 => None,
        _ => Some(Process::start(
            None,
            &[
                "crowd",
                "--kind",
                "stalled",
                "--address",
                &address,
                "--cursor",
                &cursor,
                "--clients",
                &clients,
                "--life",
                &life,
                "--ramp",
                &RAMP.as_millis().to_string(),
            ],
        )?),
    };
    let (began, all) = (Instant::now(), load.ramp() + Duration::from_secs(load.seconds));
    let (mut most, mut overdue, mut came) = (before, None, None);
    while began.elapsed() < all {
        pause(Duration::from_millis(50)).await;
        let memory = memory(&mut server).await?;
        most = Memory { resident: most.resident.max(memory.resident), heap: most.heap.max(memory.heap) };
        if came.is_none() && began.elapsed() > load.ramp() {
            came = Some((crate::now(), server.processor()?));
        }
        // Just before the first of them is replaced.
        if overdue.is_none() && began.elapsed() > all.min(load.life()) - Duration::from_millis(200) {
            overdue = server.stats(0).await?["live"].as_u64().map(|live| live.saturating_sub(1));
        }
    }
    let (came, busy) = came.ok_or("no time to measure")?;
    let left = crate::now();
    let processor = (server.processor()? - busy) / load.seconds as f64;
    drop(crowd);

    let ledger = fast.await.map_err(|error| error.to_string())?.map_err(|error| format!("the fast reader: {error}"))?;
    if ledger.lost + ledger.duplicated > 0 {
        return Err(format!("the fast reader: {ledger:?}"));
    }
    server.until(0, Duration::from_secs(5), |stats| stats["live"] == 0).await?;
    let stats = server.ask("stats").await?;
    if stats["hub"]["subscriptions"] != 0 {
        return Err(format!("all are gone, and the server holds on to {stats}"));
    }
    let ended = stats["instances"][0]["stalled"].as_u64().unwrap_or(0);
    let published = server.ask("published").await?;
    let mut delays: Vec<Vec<f64>> = Vec::new();
    for (at, delay) in ledger.delays.unwrap_or_default() {
        if (came..left).contains(&at) {
            let window = ((at - came) / 1_000_000) as usize;
            delays.resize_with(delays.len().max(window + 1), Vec::new);
            delays[window].push(delay as f64 / 1_000.0);
        }
    }
    pause(Duration::from_millis(500)).await;
    Ok(Round {
        delays,
        publish: published["p99"].as_f64().unwrap_or(f64::INFINITY),
        before,
        most,
        after: memory(&mut server).await?,
        processor,
        ended,
        overdue: overdue.unwrap_or(0),
    })
}

async fn memory(server: &mut Process) -> Result<Memory, String> {
    Ok(Memory { resident: server.memory()?, heap: server.heap().await? })
}
