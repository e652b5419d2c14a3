//! Growth of a hub's costs: with topics, subscribers, topics of a subscription, patterns, history and payloads; and the
//! longest publish of another thread during a large operation. `cargo bench --features full --bench growth`, or
//! `-- ROW…` for some rows only; `-- --help` lists them. All rows take about a minute. `docs/growth.md` explains each.
//!
//! Times hold for this machine and this run: compare within one run only. The whole output is Markdown.

mod history;
mod measure;
mod patterns;
mod payload;
mod publisher;
mod subscribers;
mod table;
mod topics;
mod wide;

use std::alloc::System;
use std::time::Instant;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Rows, each with a description.
const ROWS: [(&str, &str); 16] = [
    ("quiet", "longest publish of a thread while nothing else happens: the delays of the machine alone"),
    ("topics", "time of a publish and bytes for each topic, at 1,000 to 1,000,000 topics"),
    ("follow", "beginning to follow `room/*` and `room/**` over the topics `room/N/chat`"),
    ("stats", "stats() at that many topics"),
    ("sweep", "sweep() at that many topics, with nothing to drop"),
    ("behind", "a follower of `room/**` that is 2,000 events behind"),
    ("poll", "a poll of `room/**` with nothing new"),
    ("expiry", "sweep() when all topics have aged out, and the bytes that are left of each"),
    ("subscribers", "a publish with 1,000 to 200,000 waiting subscribers, without a notifier and with one"),
    ("wide", "subscriptions of 1 to 64 topics"),
    ("marks", "a publish to one of the 64 topics of 100,000 subscriptions"),
    ("patterns", "1 to 10,000 patterns in a hub, and as many names in one subscription"),
    ("history", "1,000 to 1,000,000 events of one topic"),
    ("latest", "first subscription with Overflow::Latest to that many events"),
    ("aging", "that many events that age out in one publish"),
    ("payload", "payloads of 100 B to 1 MiB"),
];

/// Names of the rows to measure.
struct Wanted(Vec<String>);

impl Wanted {
    /// Returns whether a row is selected.
    fn has(&self, row: &str) -> bool {
        assert!(ROWS.iter().any(|(known, _)| *known == row), "row `{row}` is not listed");
        self.0.is_empty() || self.0.iter().any(|wanted| wanted == row)
    }

    /// Returns whether one of these rows is selected.
    fn has_any(&self, rows: &[&str]) -> bool {
        rows.iter().any(|row| self.has(row))
    }
}

fn main() {
    let wanted: Vec<_> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let unknown = wanted.iter().find(|wanted| ROWS.iter().all(|(row, _)| row != wanted));
    if let Some(unknown) = unknown {
        if unknown != "--help" {
            println!("unknown row: {unknown}");
        }
        ROWS.iter().for_each(|(row, what)| println!("{row:<12} {what}"));
        return;
    }
    let (wanted, begun) = (Wanted(wanted), Instant::now());
    println!("{} cores", std::thread::available_parallelism().map_or(1, usize::from));
    topics::measure(&wanted);
    subscribers::measure(&wanted);
    wide::measure(&wanted);
    patterns::measure(&wanted);
    history::measure(&wanted);
    payload::measure(&wanted);
    println!("\n{:.0} s", begun.elapsed().as_secs_f64());
}
