use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::args::Args;
use crate::figures::Figures;
use crate::pause;
use crate::process::{CEILING, Process};

/// Time beyond its timeout that a drain may take here. Tests in virtual time show that all sessions end within the
/// timeout;
/// here the last one must end long before any other deadline would end it.
const SLACK: Duration = Duration::from_secs(15);
/// Seconds for which other processes may occupy the machine during a drain: sessions that would have ended, or clients
/// that
/// would have reconnected, in that time are added to the next second's.
const HICCUP: f64 = 2.5;
/// Interval in seconds between two events of a topic.
const QUIET: u64 = 2;

/// All sessions move from an instance on axum to one on hyper, and then leave that one, while events go on.
pub(crate) async fn run(args: &mut Args, figures: &mut Figures) -> Result<(), String> {
    let (clients, window) = (args.or("clients", 2_000_u64)?, Duration::from_millis(args.or("window", 6_000)?));
    let topics = args.or("topics", 50_u64)?;
    let millis = window.as_millis().to_string();
    let mut server = Process::start(None, &["serve", "--window", &millis])?;
    let reported = server.read().await?;
    let [first, second] = [0, 1].map(|at| reported["addresses"][at].as_str().unwrap_or_default().to_owned());
    let cursor = server.cursor().await?;

    // Until the last client has reconnected: the timeout, the longest retry time, and a second.
    let last = (window.as_secs() + 5 + 3) / QUIET;
    let half = (clients / 2).to_string();
    let (topics, last) = (topics.to_string(), last.to_string());
    let crowd = || {
        Process::start(
            None,
            &[
                "crowd",
                "--kind",
                "movers",
                "--first",
                &first,
                "--second",
                &second,
                "--clients",
                &half,
                "--topics",
                &topics,
                "--cursor",
                &cursor,
                "--last",
                &last,
            ],
        )
    };
    let mut crowds = [crowd()?, crowd()?];
    let began = Instant::now();
    server.until(0, |stats| stats["live"] == clients).await?;
    figures.note("sessions", format!("{clients}, all there after {:.1} s", began.elapsed().as_secs_f64()));

    let rate = topics.parse::<u64>().unwrap_or(1) / QUIET;
    server.ask(&format!("publish --rate {rate} --topics {topics} --each {last}")).await?;
    pause(Duration::from_secs(1)).await;
    let (signalled, at) = (Instant::now(), crate::now());
    server.terminate().await?;
    server.until(0, |stats| stats["live"] == 0).await?;
    let limit = seconds(window + SLACK);
    figures.at_most("the first instance is empty after", signalled.elapsed().as_secs_f64(), limit, "s");
    server.until(0, |stats| stats["returned"] == true).await?;
    figures.at_most("and returns (axum) after", signalled.elapsed().as_secs_f64(), limit, "s");

    while server.ask("published").await?["over"] != true {
        pause(Duration::from_millis(50)).await;
    }
    // All clients have reconnected, and no poll is between two of them: publishing ends.
    let (stats, _) = server.settled(1, |stats| stats["live"] == clients).await?;
    figures.exactly("sessions at the second instance", stats["live"].as_u64().unwrap_or(u64::MAX), clients);
    let signalled = Instant::now();
    server.terminate().await?;
    let code = server.exit(window + CEILING).await?;
    figures.at_most("the process ends (hyper) after", signalled.elapsed().as_secs_f64(), limit, "s");
    figures.holds("its exit code", format!("{code:?}"), code == Some(0));

    let reports = [crowds[0].read().await?, crowds[1].read().await?];
    let sum = |name: &str| reports.iter().map(|report| report[name].as_u64().unwrap_or(u64::MAX)).sum();
    let times = |name: &str| {
        let all = reports.iter().flat_map(|report| report[name].as_array().into_iter().flatten());
        let mut all: Vec<u64> = all.filter_map(Value::as_u64).map(|time| time.saturating_sub(at)).collect();
        all.sort_unstable();
        all
    };
    let (left, refused, back) = (times("left"), times("refused"), times("returned"));
    for report in reports.iter().filter(|report| report["wrong"] != 0) {
        figures.note("wrong", &report["why"]);
    }
    figures.exactly("clients without the last block of their transport, of two", sum("wrong"), 0);
    figures.note("polls that were refused", refused.len());
    figures.exactly("clients that moved", back.len() as u64, clients);
    let latest = left.iter().chain(&refused).max().copied().unwrap_or(u64::MAX) as f64 / 1e6;
    figures.at_most("the last session ends after", latest, limit, "s");
    figures.exactly("events lost", sum("lost"), 0);
    figures.exactly("events repeated", sum("duplicated"), 0);
    let even = clients as f64 / window.as_secs_f64();
    let limit = (1.0 + HICCUP) * even;
    figures.note("clients in a second, if evenly spread", format!("{even:.0}"));
    figures.at_most("sessions ended in the worst second", worst_second(&left), limit, "clients");
    figures.at_most("clients reconnected in the worst second", worst_second(&back), limit, "clients");
    Ok(())
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// Returns the largest number of these times, in microseconds and in order, within one second.
fn worst_second(times: &[u64]) -> f64 {
    let mut from = 0;
    let mut worst = 0;
    for (to, time) in times.iter().enumerate() {
        while time - times[from] > 1_000_000 {
            from += 1;
        }
        worst = worst.max(to + 1 - from);
    }
    worst as f64
}
