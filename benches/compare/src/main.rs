//! Measures the cost of a delivery: tidings beside servers that are written by hand, in one run.
//!
//! ```text
//! cargo run --release -p compare
//! cargo run --release -p compare -- --only websocket --servers axum,tidings --rounds 3
//! ```
//!
//! The server runs on one CPU, the client on another. The figure is the scheduler's count of the time for which the
//! server
//! ran, from when all subscribers are connected until everything is delivered and the server is idle. Compare ratios
//! within
//! one run rather than figures. Each run has a new server, and the rounds alternate between servers.

mod client;
mod contender;
mod cpus;
mod measure;
mod options;
mod relay;
mod report;
mod rounds;
mod server;
mod servers;
mod table;
mod workload;

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};

use cpus::Cpus;
use measure::Bench;
use options::{Options, Parsed};
use report::Machine;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let done = match args.first().map(String::as_str) {
        Some("serve") => servers::run(args.into_iter().skip(1)),
        _ => Options::parse(&args).and_then(|parsed| match parsed {
            Parsed::Run(options) => compare(&options, &args),
            Parsed::Help => {
                println!("{}\n\n  compare serve {}   one of the servers, by itself", options::HELP, servers::USAGE);
                Ok(())
            }
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options, args: &[String]) -> Result<(), String> {
    if cfg!(debug_assertions) && !options.quick {
        return Err("a debug build has no figures worth having: cargo run --release, or --quick".to_owned());
    }
    let relay = relay::build()?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).map_err(|error| format!("signals: {error}"))?;
    }
    raise_open_files()?;
    let machine = Machine::look();
    let rest = Duration::from_millis(if options.quick { 200 } else { 2000 });
    let bench = Bench { relay: &relay, cpus: Cpus::split()?, rest, stop: &stop };
    let rows = rounds::run(options, &bench)?;
    if options.quick {
        println!("{} rows: nothing lost, twice or out of order", rows.len());
        return Ok(());
    }
    let command = ["cargo run --release -p compare --"].into_iter().chain(args.iter().map(String::as_str));
    let command = command.collect::<Vec<_>>().join(" ");
    let markdown = report::markdown(&rows, command.trim_end_matches(" --"), options.rounds, &machine);
    println!("\n{markdown}");
    if options.writes() {
        write("benches/compare/RESULTS.md", &markdown)?;
        write("docs/compare.svg", &report::chart(&rows))?;
    }
    Ok(())
}

fn write(path: &str, text: &str) -> Result<(), String> {
    fs::write(relay::root().join(path), text).map_err(|error| format!("can't write {path}: {error}"))?;
    println!("wrote {path}");
    Ok(())
}

/// Raises the limit of open files for thousands of connections. The servers inherit it.
fn raise_open_files() -> Result<(), String> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .map_err(|error| format!("can't raise the number of open files: {error}"))
}
