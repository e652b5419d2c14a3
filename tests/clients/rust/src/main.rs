//! Clients in Rust: `clients ADDRESS CLIENT SCENARIO…`.
//!
//! A scenario `stop…` is the client with what its user must write. Each reports what its application sees.

mod seen;
mod sse;
mod websocket;

use seen::Seen;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(client)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: clients ADDRESS CLIENT SCENARIO…");
        std::process::exit(2);
    };
    let runs: Vec<_> = arguments.map(|scenario| tokio::spawn(run(address.clone(), client.clone(), scenario))).collect();
    for run in runs {
        if let Err(error) = run.await {
            eprintln!("{client}: {error}");
        }
    }
}

async fn run(address: String, client: String, scenario: String) {
    let controls = if scenario.ends_with("-off") { "?controls=off" } else { "" };
    let url = format!("{address}/events/{scenario}/{client}{controls}");
    let seen = Seen::new(format!("{address}/seen/{scenario}/{client}"));
    let stop = scenario.starts_with("stop");
    match &*client {
        "reqwest-eventsource" => sse::reqwest_eventsource(&url, stop, &seen).await,
        "rust-eventsource-client" => sse::eventsource_client(&url, stop, &seen).await,
        "tokio-tungstenite" => websocket::tokio_tungstenite(&url.replacen("http", "ws", 1), stop, &seen).await,
        _ => eprintln!("there is no client {client}"),
    }
    seen.report("stopped", "").await;
}
