//! Measures the promises over real sockets. Each scenario has figures of its own that it holds.
//!
//! ```text
//! storm stalled      readers that take nothing: memory, and what a reader beside them feels of it
//! storm pings        WebSockets that flood and never read
//! storm drain        all sessions leave one instance, paced, and lose nothing at the next
//! storm half-open    peers that are gone without a word (needs root, for network namespaces)
//! storm herd         long polls of a busy topic, and many that return at once
//! storm floods       idle poll sessions of one client, its connections, and topics of one publisher, without end
//! storm slow         one large event, for clients that read slowly, which answer pings late, and for those that read nothing
//! storm unread       HTTP/2 clients that let no byte of a body through
//! ```
//!
//! Each starts its server, and crowds of clients, as processes of its own: `storm serve` and `storm crowd`. It prints
//! one line for each figure and exits with 0 if all hold, with 77 if it can't be run here. Options are `--name value`;
//! each has a default that takes seconds.

mod args;
mod crowd;
mod drain;
mod figures;
mod floods;
mod half_open;
mod herd;
mod pings;
mod pongs;
mod process;
mod publish;
mod server;
mod slow;
mod stacks;
mod stalled;
mod streams;
mod unread;
mod visit;
mod wire;

use std::alloc::System;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use args::Args;
use figures::Figures;

/// Counts what is on the heap.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Exit code of a scenario that can't be run here.
const SKIPPED: u8 = 77;

#[tokio::main]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let what = args.next().unwrap_or_default();
    let outcome = match Args::parse(args) {
        Ok(args) => run(&what, args).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("storm {what}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(what: &str, mut args: Args) -> Result<ExitCode, String> {
    let mut figures = Figures::of(what);
    match what {
        "serve" => return server::serve(args).await.map(|()| ExitCode::SUCCESS),
        "crowd" => return crowd::run(args).await.map(|()| ExitCode::SUCCESS),
        "stalled" => stalled::run(&mut args, &mut figures).await?,
        "pings" => pings::run(&mut args, &mut figures).await?,
        "drain" => drain::run(&mut args, &mut figures).await?,
        "half-open" => {
            if let Err(why) = half_open::is_possible().await {
                println!("skipped: {why}");
                return Ok(ExitCode::from(SKIPPED));
            }
            half_open::run(&mut args, &mut figures).await?;
        }
        "herd" => herd::run(&mut args, &mut figures).await?,
        "floods" => floods::run(&mut args, &mut figures).await?,
        "slow" => slow::run(&mut args, &mut figures).await?,
        "unread" => unread::run(&mut args, &mut figures).await?,
        _ => {
            return Err(
                "usage: storm stalled | pings | drain | half-open | herd | floods | slow | unread [--OPTION VALUE]…"
                    .to_owned(),
            );
        }
    }
    args.finish()?;
    Ok(figures.verdict())
}

async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Microseconds, on the clock that all processes have.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}
