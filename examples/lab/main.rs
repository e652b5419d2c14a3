//! Five transports side by side in one browser page, live, with the same topics of one hub.
//!
//! ```text
//! cargo run --release --example lab --features full
//! tail -f /var/log/syslog | cargo run --release --example lab --features full -- --stdin log
//! ```
//!
//! It prints the page's address. The page has a panel for each transport, with the events that it received and missed, and
//! their delay and cost.
//!
//! With the feature `disk` the history is in a directory, and the page can kill and restart the process of the server:
//!
//! ```text
//! cargo run --release --example lab --features full,disk
//! ```
//!
//! Modules, from the hub outwards: `hub` is in memory or on disk; `stage` holds the hub and numbers its events; `load`, `host` and `stdin` publish; `board`
//! authorizes subscriptions and receives the messages of browsers; `routes` serves the page and its controls; `meter` and
//! `ledger` count bytes on the sockets; `serve` accepts connections; `supervise` starts the server again. The page is in `page/`: plain ES modules without a build
//! step.

mod args;
mod assets;
mod board;
mod host;
mod hub;
mod ledger;
mod load;
mod meter;
mod process;
mod routes;
mod serve;
mod stage;
mod stdin;
#[cfg(feature = "disk")]
mod supervise;

use std::error::Error;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tidings::{Endpoint, Topic};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use args::{Args, Parsed};
use board::Board;
use hub::LabHub;
use ledger::Ledger;
use load::Load;
use process::Process;
use routes::Lab;
use stage::Stage;

#[tokio::main]
async fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Parsed::Run(args) => args,
        Parsed::Help => {
            println!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Parsed::Wrong(why) => {
            eprintln!("{why}; see --help");
            return ExitCode::from(2);
        }
    };
    #[cfg(feature = "disk")]
    if !supervise::is_server() {
        return supervise::run(args).await;
    }
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("cannot listen on 127.0.0.1:{}: {error}; choose another port with --port", args.port);
            return ExitCode::FAILURE;
        }
    };
    let hub = match open(&args).await {
        Ok(hub) => hub,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let code = run(listener, args, hub.clone()).await;
    // A failure to join has nothing to close.
    let _ = tokio::task::spawn_blocking(move || hub.close()).await;
    code
}

/// Opens the hub, in memory or on disk.
async fn open(args: &Args) -> Result<LabHub, Box<dyn Error + Send + Sync>> {
    #[cfg(feature = "disk")]
    if let Some(directory) = args.disk.clone() {
        return Ok(tokio::task::spawn_blocking(move || LabHub::on_disk(&directory)).await??);
    }
    let _ = args;
    Ok(LabHub::in_memory())
}

/// Serves until a signal, or until the process is to be started again.
async fn run(listener: TcpListener, args: Args, hub: LabHub) -> ExitCode {
    let port = listener.local_addr().map_or(args.port, |address| address.port());
    let process = args.disk.map(|directory| Process { directory, ends: Arc::new(Notify::new()) });
    let ends = process.as_ref().map(|process| process.ends.clone());
    let stage = Stage::new(hub);
    if process.is_some() {
        let numbered = stage::TOPICS.into_iter().filter(|&topic| topic != stage::CELLS);
        for topic in numbered.filter_map(|name| Topic::new(name).ok()).chain(args.stdin.clone()) {
            stage.resume(topic).await;
        }
    }
    let ledger = Ledger::new();
    let load = Load::start(stage.clone());
    host::start(stage.clone());
    if let Some(topic) = args.stdin.clone() {
        stdin::start(stage.clone(), topic);
    }

    let events = Endpoint::builder(Board::new(stage.clone(), args.stdin.clone()))
        .allowed_hosts(routes::hosts(port))
        .drain_timeout(Duration::from_secs(3))
        .build();
    let lab = Lab { stage, ledger: ledger.clone(), load, log: args.stdin, process };
    let app = routes::router(lab, events.clone());

    println!("the lab is at http://127.0.0.1:{port}/");
    let drained = events.drain_on(async {
        interrupted().await;
        eprintln!("\ndraining sessions; Ctrl-C again to stop at once");
    });
    let restarted = async {
        match ends {
            Some(ends) => ends.notified().await,
            None => std::future::pending().await,
        }
        events.drain().await;
    };
    tokio::select! {
        () = serve::serve(listener, app, ledger) => ExitCode::SUCCESS,
        () = drained => ExitCode::SUCCESS,
        () = restarted => ExitCode::from(process::AGAIN),
        () = async { interrupted().await; interrupted().await } => ExitCode::SUCCESS,
    }
}

/// Waits for the next Ctrl-C. If the signal cannot be received, it waits for ever, and the process has to be killed.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
