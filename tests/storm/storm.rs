//! Measures promises over real sockets. Each scenario asserts its own figures.
//!
//! ```text
//! storm stalled      readers that read nothing: memory, and the effect on a reader beside them
//! storm pings        WebSockets that flood and never read
//! storm drain        all sessions leave one instance, at an even pace, and lose no event at the next
//! storm half-open    peers that disappear without an end (needs root, for network namespaces)
//! storm long-polls   long polls of a busy topic, and many that return at once
//! storm floods       idle poll sessions of one client, its connections, and topics of one publisher, without a limit
//! storm slow         one large event, for clients that read slowly, that answer pings late, and that read nothing
//! storm unread       HTTP/2 clients that accept no byte of a body
//! ```
//!
//! Each starts its server, and crowds of clients, as its own processes: `storm serve` and `storm crowd`. It prints
//! one line for each figure. Exit codes: 0 if all hold, 77 if it cannot run here. Options are `--name value`;
//! by default each scenario takes seconds.

mod args;
mod crowd;
mod drain;
mod figures;
mod floods;
mod follow;
mod half_open;
mod long_polls;
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
mod wire;

use std::alloc::System;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use args::Args;
use figures::Figures;

/// Counts allocations.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Exit code of a scenario that cannot run here.
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
        "long-polls" => long_polls::run(&mut args, &mut figures).await?,
        "floods" => floods::run(&mut args, &mut figures).await?,
        "slow" => slow::run(&mut args, &mut figures).await?,
        "unread" => unread::run(&mut args, &mut figures).await?,
        _ => {
            return Err(
                "usage: storm stalled | pings | drain | half-open | long-polls | floods | slow | unread [--OPTION VALUE]…"
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

/// Returns the microseconds of the clock that all processes share.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}
