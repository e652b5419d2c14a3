//! Many clients of a relay that is running already.
//!
//! ```text
//! swarm run URL [--subscribers N] [--events N] [--seed N]    no event is lost, repeated or out of order when clients are cut
//! cut
//! swarm figures URL                                          costs of an event on each transport, as Markdown
//! ```

mod figures;
mod ledger;
mod run;
mod server;

#[path = "../it/clients/mod.rs"]
mod clients;

use std::process::ExitCode;
use std::time::Duration;

use server::Server;

/// The five transports, each in a form that resumes.
const TRANSPORTS: [clients::ClientKind; 5] = [
    clients::ClientKind::ShortPoll,
    clients::ClientKind::LongPoll,
    clients::ClientKind::Chunked,
    clients::ClientKind::Sse,
    clients::ClientKind::WebSocket,
];

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let done = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["run", url, options @ ..] => match (Server::at(url), run::Options::parse(options)) {
            (Ok(server), Ok(options)) => run::run(server, options).await,
            (Err(error), _) | (_, Err(error)) => Err(error),
        },
        ["figures", url] => match Server::at(url) {
            Ok(server) => figures::figures(&server).await,
            Err(error) => Err(error),
        },
        _ => Err("usage: swarm run URL [--subscribers N] [--events N] [--seed N] | swarm figures URL".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("swarm: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
