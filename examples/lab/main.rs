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
//! Modules, from the hub outwards: `stage` holds the hub and numbers its events; `load`, `host` and `stdin` publish; `board`
//! authorizes subscriptions and receives the messages of browsers; `routes` serves the page and its controls; `meter` and
//! `ledger` count bytes on the sockets; `serve` accepts connections. The page is in `page/`: plain ES modules without a build
//! step.

mod args;
mod assets;
mod board;
mod host;
mod ledger;
mod load;
mod meter;
mod routes;
mod serve;
mod stage;
mod stdin;

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use tidings::Endpoint;
use tokio::net::TcpListener;

use args::{Args, Parsed};
use board::Board;
use ledger::Ledger;
use load::Load;
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
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("cannot listen on 127.0.0.1:{}: {error}; choose another port with --port", args.port);
            return ExitCode::FAILURE;
        }
    };
    run(listener, args).await;
    ExitCode::SUCCESS
}

async fn run(listener: TcpListener, args: Args) {
    let port = listener.local_addr().map_or(args.port, |address| address.port());
    let stage = Stage::new();
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
    let lab = Lab { stage, ledger: ledger.clone(), load, log: args.stdin };
    let app = routes::router(lab, events.clone());

    println!("the lab is at http://127.0.0.1:{port}/");
    let drained = events.drain_on(async {
        interrupted().await;
        eprintln!("\ndraining sessions; Ctrl-C again to stop at once");
    });
    tokio::select! {
        () = serve::serve(listener, app, ledger) => {}
        () = drained => {}
        () = async { interrupted().await; interrupted().await } => {}
    }
}

/// Waits for the next Ctrl-C. If the signal cannot be received, it waits for ever, and the process has to be killed.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
