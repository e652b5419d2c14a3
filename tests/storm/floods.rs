use std::io;
use std::time::Duration;

use tidings::Transport;
use tokio::time::{Instant, timeout};

use crate::args::Args;
use crate::figures::Figures;
use crate::follow::{FollowEnd, Ledger, follow};
use crate::pause;
use crate::process::{CEILING, Process};
use crate::wire::{Wire, request};

/// Number of polls that are sent before their replies are read.
const AT_ONCE: usize = 500;

/// Limit of open files of a server that reaches it.
const FILES: usize = 256;

/// Floods of one client with idle sessions of polls, of connections above the server's descriptors, and of a publisher
/// with
/// new topics.
pub(crate) async fn run(args: &mut Args, figures: &mut Figures) -> Result<(), String> {
    let (polls, idle) = (args.or("polls", 10_000_usize)?, args.or("max-idle", 1_000_u64)?);
    idle_runs(polls, idle, figures).await?;
    connections(args.or("connections", 800_usize)?, figures).await?;
    let (topics, bytes) = (args.or("topics", 100_000_u64)?, args.or("max-bytes", 16_u64 << 20)?);
    new_topics(topics, bytes, figures).await
}

/// Sends short polls on one connection, each with its own session name, and then connects over each other transport.
async fn idle_runs(polls: usize, idle: u64, figures: &mut Figures) -> Result<(), String> {
    let (most, max) = (idle.to_string(), (2 * idle).to_string());
    let mut server = Process::start(None, &["serve", "--max-idle", &most, "--max-sessions", &max])?;
    let address = server.address().await?;
    let before = server.heap().await?;
    let began = Instant::now();
    let refused = flood(&address, polls).await.map_err(|error| format!("the flood: {error}"))?;
    figures.note(
        "idle poll sessions: polls on one connection",
        format!("{polls} in {:.1} s", began.elapsed().as_secs_f64()),
    );
    figures.exactly("idle poll sessions: polls refused", refused, 0);
    let live = server.stats(0).await?["live"].as_u64().unwrap_or(u64::MAX);
    figures.exactly("idle poll sessions: sessions", live, idle);
    let grown = server.heap().await? - before;
    figures.at_most("idle poll sessions: heap of each", grown / idle as f64, 3.0, "KiB");
    let mut held = Vec::new();
    for transport in [Transport::Sse, Transport::Chunked, Transport::WebSocket] {
        let mut wire = Wire::connect(&address).await.map_err(|error| error.to_string())?;
        wire.send(request(transport, "storm/0", None)).await.map_err(|error| error.to_string())?;
        let status = wire.head().await.map_err(|error| error.to_string())?.status;
        let expected = if transport == Transport::WebSocket { 101 } else { 200 };
        figures.exactly(
            &format!("idle poll sessions: status of a {} after them", transport.as_str()),
            status.into(),
            expected,
        );
        held.push(wire);
    }
    let (mut poll, cursor) =
        (Wire::connect(&address).await.map_err(|error| error.to_string())?, server.cursor().await?);
    poll.send(request(Transport::LongPoll, "storm/0", Some(&cursor))).await.map_err(|error| error.to_string())?;
    let (_, is_held) = server.settled(0, |stats| stats["live"].as_u64().is_some_and(|live| live >= idle + 4)).await?;
    figures.holds("idle poll sessions: a long poll behind them is held", is_held, is_held);
    Ok(())
}

/// Sends the polls. Returns the number of refused ones.
async fn flood(address: &str, polls: usize) -> io::Result<u64> {
    let (mut wire, mut refused) = (Wire::connect(address).await?, 0);
    for first in (0..polls).step_by(AT_ONCE) {
        let names = first..polls.min(first + AT_ONCE);
        let asked: String =
            names.clone().map(|n| request(Transport::ShortPoll, &format!("storm/0&session=flood{n}"), None)).collect();
        wire.send(asked).await?;
        for _ in names {
            let head = wire.head().await?;
            wire.exactly(head.header("content-length").unwrap_or(0)).await?;
            refused += u64::from(head.status != 200);
        }
    }
    Ok(refused)
}

/// Connects until the server has no descriptor left, and disconnects. Clients that were connected before are not
/// affected,
/// and clients that connect afterwards are served.
async fn connections(connections: usize, figures: &mut Figures) -> Result<(), String> {
    let mut server = Process::start_limited(FILES, &["serve", "--own", "1"])?;
    let address = server.address().await?;
    let failed = |error: io::Error| error.to_string();
    let mut reader = Wire::connect(&address).await.map_err(failed)?;
    reader.send(request(Transport::Chunked, "storm/0", None)).await.map_err(failed)?;
    figures.exactly(
        "connections: status of a reader before them",
        reader.head().await.map_err(failed)?.status.into(),
        200,
    );
    let mut idle = Vec::new();
    for _ in 0..connections {
        idle.push(Wire::connect(&address).await.map_err(failed)?);
    }
    let (before, began) = (server.processor()?, Instant::now());
    pause(Duration::from_secs(1)).await;
    let busy = (server.processor()? - before) / began.elapsed().as_secs_f64();
    figures.at_most("connections: processors in use without a descriptor", busy, 0.5, "");
    server.ask("publish --rate 1000 --size 100 --topics 1 --each 10").await?;
    let is_read = timeout(CEILING, reader.chunk()).await.is_ok_and(|chunk| matches!(chunk, Ok(Some(_))));
    figures.holds("connections: the reader gets events", is_read, is_read);
    drop(idle);
    let mut late = Wire::connect(&address).await.map_err(failed)?;
    late.send(request(Transport::Chunked, "storm/0", None)).await.map_err(failed)?;
    let status = timeout(CEILING, late.head()).await.map_err(|_| "no answer after the flood")?.map_err(failed)?.status;
    figures.exactly("connections: status of a reader after them", status.into(), 200);
    Ok(())
}

/// Publishes to many new topics while a topic in use has a history, at which its client resumes.
async fn new_topics(topics: u64, bytes: u64, figures: &mut Figures) -> Result<(), String> {
    const HONEST: u64 = 50;
    let limit = bytes.to_string();
    let mut server = Process::start(None, &["serve", "--max-bytes", &limit])?;
    let address = server.address().await?;
    let (cursor, before) = (server.cursor().await?, server.heap().await?);
    server.ask(&format!("publish --rate 1000 --size 1000 --topics 10 --each {HONEST}")).await?;
    let began = Instant::now();
    while server.ask("published").await?["over"] != true && began.elapsed() < CEILING {
        pause(Duration::from_millis(20)).await;
    }
    let mut most = 0.0_f64;
    for round in 0..2 {
        let flooded = server.ask(&format!("flood --topics {topics} --round {round}")).await?;
        most = most.max(server.heap().await? - before);
        figures.note("topics: worst publish of the flood", format!("{} µs", flooded["worst"]));
        figures.exactly("topics: publishes refused", flooded["refused"].as_u64().unwrap_or(u64::MAX), 0);
    }
    figures.at_most("topics: heap", most / 1024.0, 1.5 * bytes as f64 / f64::from(1 << 20), "MiB");
    for topic in ["storm/0", "storm/9"] {
        let mut ledger = Ledger { goal: Some(HONEST), ..Ledger::new(&cursor) };
        let parting = follow(&address, Transport::Sse, topic, &mut ledger).await.map_err(|error| error.to_string())?;
        let is_whole = parting == FollowEnd::Complete && ledger.lost + ledger.duplicated == 0;
        figures.holds(&format!("topics: history of {topic} is whole"), ledger.last, is_whole);
    }
    Ok(())
}
