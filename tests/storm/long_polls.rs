use serde_json::Value;
use tokio::time::Instant;

use crate::args::Args;
use crate::figures::Figures;
use crate::process::Process;

/// Events a second.
const RATE: u64 = 50;
/// Minimum milliseconds between a poll and its answer.
const INTERVAL: u64 = 1_000;

/// Long polls of a busy topic, with and without a minimum wait; and many that return at once.
pub(crate) async fn run(args: &mut Args, figures: &mut Figures) -> Result<(), String> {
    let clients = args.or("clients", 2_000_u64)?;
    let each = RATE * args.or("seconds", 3_u64)?;
    let paced = busy(clients, each, INTERVAL).await?;
    let unpaced = busy(clients, each, 0).await?;
    for (busy, name) in [(&paced, "with an interval"), (&unpaced, "without")] {
        figures.exactly(&format!("events lost {name}"), busy.report["lost"].as_u64().unwrap_or(u64::MAX), 0);
        figures.exactly(&format!("events repeated {name}"), busy.report["duplicated"].as_u64().unwrap_or(u64::MAX), 0);
        figures.exactly(&format!("failures {name}"), busy.report["wrong"].as_u64().unwrap_or(u64::MAX), 0);
        if busy.report["wrong"] != 0 {
            figures.note("wrong", &busy.report["why"]);
        }
        let (events, replies) = (busy.count("events"), busy.count("replies"));
        figures.note(&format!("events a reply {name}"), format!("{:.1}", events / replies));
        let share = 100.0 * busy.processor / busy.took;
        figures.note(&format!("server's processor {name}"), format!("{:.2} µs an event, {share:.0} %", busy.cost()));
        figures.note(&format!("time for all {name}"), format!("{:.1} s", busy.took));
    }
    let soonest = paced.count("soonest");
    figures.holds("soonest reply", format!("{soonest} ms, at least {INTERVAL}"), soonest >= INTERVAL as f64 - 1.0);
    figures.exactly("most replies to a client in a second", paced.count("most") as u64, 1);
    rush(args.or("rush", 4_000)?, figures).await
}

struct Busy {
    report: Value,
    /// Seconds of the server's processor, and seconds in total.
    processor: f64,
    took: f64,
}

impl Busy {
    fn count(&self, name: &str) -> f64 {
        self.report[name].as_f64().unwrap_or(f64::NAN)
    }

    /// Returns the microseconds of the server's processor for each event that a client got.
    fn cost(&self) -> f64 {
        self.processor * 1e6 / self.count("events")
    }
}

/// All clients get every event; each polls again when it was answered.
async fn busy(clients: u64, each: u64, interval: u64) -> Result<Busy, String> {
    let mut polls = PollCrowd::start(clients, each, interval).await?;
    polls.server.until(0, |stats| stats["live"] == clients).await?;
    let (before, began) = (polls.server.processor()?, Instant::now());
    polls.server.ask(&format!("publish --rate {RATE} --each {each}")).await?;
    let report = polls.crowd.read().await?;
    let (after, took) = (polls.server.processor()?, began.elapsed().as_secs_f64());
    polls.server.until(0, |stats| stats["live"] == 0).await?;
    Ok(Busy { report, processor: after - before, took })
}

/// Each event wakes all clients, which poll again at once.
async fn rush(clients: u64, figures: &mut Figures) -> Result<(), String> {
    const ROUNDS: u64 = 4;
    let mut polls = PollCrowd::start(clients, ROUNDS, 0).await?;
    polls.server.until(0, |stats| stats["live"] == clients).await?;
    let (mut slowest, mut memory) = (0.0_f64, Vec::new());
    for round in 1..=ROUNDS {
        let began = Instant::now();
        polls.server.ask("publish --rate 1000 --each 1").await?;
        if round < ROUNDS {
            // All polls were answered, and all clients poll again.
            polls
                .server
                .until(0, |stats| stats["subscribed"] == clients * (round + 1) && stats["live"] == clients)
                .await?;
            slowest = slowest.max(began.elapsed().as_secs_f64());
            memory.push(polls.server.heap().await?);
        }
    }
    let report = polls.crowd.read().await?;
    figures.note("long polls that return at once", format!("{clients}, all back after {slowest:.2} s at worst"));
    for name in ["lost", "duplicated", "wrong"] {
        figures.exactly(&format!("of these, {name}"), report[name].as_u64().unwrap_or(u64::MAX), 0);
    }
    let growth = memory.last().unwrap_or(&f64::INFINITY) - memory.first().unwrap_or(&0.0);
    figures.at_most("heap that grows from the first return to the last", growth, 1024.0, "KiB");
    polls.server.until(0, |stats| stats["live"] == 0).await
}

struct PollCrowd {
    server: Process,
    crowd: Process,
}

impl PollCrowd {
    async fn start(clients: u64, goal: u64, interval: u64) -> Result<Self, String> {
        let interval = interval.to_string();
        let mut server = Process::start(None, &["serve", "--min-interval", &interval, "--retain", "100000"])?;
        let address = server.address().await?;
        let cursor = server.cursor().await?;
        let (clients, goal) = (clients.to_string(), goal.to_string());
        let crowd = Process::start(
            None,
            &[
                "crowd",
                "--kind",
                "pollers",
                "--address",
                &address,
                "--cursor",
                &cursor,
                "--clients",
                &clients,
                "--goal",
                &goal,
            ],
        )?;
        Ok(Self { server, crowd })
    }
}
